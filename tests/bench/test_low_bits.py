"""The graphs that bench.low_bits compares compute what the original computes, up to their rounding."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.low_bits.calls import Call
from bench.low_bits.pictures import psnr
from bench.low_bits.variants import VARIANTS, write

_SIDE = 128
GENERATOR = np.random.default_rng(0)
CALLS: list[Call] = [{"sample": GENERATOR.standard_normal((2, 4, 6, 6), dtype=np.float32)} for _ in range(3)]


def graph(path: Path) -> Path:
    """Four convolutions and two products of one matrix."""
    shapes = {"a": (_SIDE, 4, 3, 3), "b": (_SIDE, _SIDE, 1, 1), "c": (_SIDE, _SIDE, 1, 1), "d": (4, _SIDE, 3, 3)}
    weights = {name: GENERATOR.standard_normal(shape, dtype=np.float32) / 10 for name, shape in shapes.items()}
    weights["m"] = GENERATOR.standard_normal((_SIDE, _SIDE), dtype=np.float32) / 10
    nodes = [
        helper.make_node("Conv", ["sample", "a"], ["1"], "first", pads=[1] * 4),
        helper.make_node("Conv", ["1", "b"], ["2"], "second"),
        helper.make_node("Transpose", ["2"], ["3"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["3", "m"], ["4"], "product"),
        helper.make_node("MatMul", ["4", "m"], ["5"], "again"),
        helper.make_node("Transpose", ["5"], ["6"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["6", "c"], ["7"], "third"),
        helper.make_node("Conv", ["7", "d"], ["out_sample"], "last", pads=[1] * 4),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    sample, output = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4, "height", "width"])
        for name in ("sample", "out_sample")
    )
    made = helper.make_graph(nodes, "unet", [sample], [output], tensors)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)
    return path


def outputs(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, dict(call))[0] for call in CALLS])


@pytest.mark.parametrize("title", VARIANTS)
def test_a_variant_is_near_to_its_original(title: str, tmp_path: Path) -> None:
    original = graph(tmp_path / "original.onnx")
    exact, got = outputs(original), outputs(write(original, title, CALLS, tmp_path))
    error = np.sqrt(np.square(got - exact).mean() / np.square(exact).mean())
    assert 1e-4 < error < (0.3 if "4 bits" in title else 0.1)


def test_psnr_of_equal_and_of_opposite_pictures() -> None:
    black = np.zeros((1, 2, 2, 1), np.uint8)
    assert psnr(black, black) is None
    assert psnr(black + 255, black) == 0
