"""bfloat16, and weights in 8 bits: what is stored, and what is computed."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnxscript import ir

from ddim_edge.errors import ConfigError
from ddim_edge_export.component import export_into
from ddim_edge_export.graph.matmul_nbits import BLOCK, pack
from ddim_edge_export.graph.quantize import quantize_matrix, quantize_weights
from ddim_edge_export.networks.network import Network
from ddim_edge_export.networks.signature import Input, Signature
from ddim_edge_export.options import Options, read_options
from ddim_edge_export.precision import BF16
from ddim_edge_export.progress import ignore_stage


class Block(torch.nn.Module):
    """A matrix product, a convolution and an upsampling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(192, 64)
        self.conv = torch.nn.Conv2d(64, 4, 3, padding=1)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        hidden = self.linear(sample.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        output: torch.Tensor = self.conv(torch.nn.functional.interpolate(hidden, scale_factor=2.0))
        return output


def block() -> Network:
    axes = ("batch", 192, "height", "width")
    signature = Signature(
        inputs=(Input(name="sample", axes=axes),),
        outputs={"out_sample": ("batch", None, "height*2", "width*2")},
        sizes=({"height": 4, "width": 6},),
    )
    return Network(module=Block(), call=lambda module, inputs: (module(**inputs),), signature=signature)


def export(folder: Path, options: Options) -> tuple[onnx.ModelProto, float]:
    report = export_into(folder, block, {}, ignore_stage, options)
    assert [path.name for path in sorted(folder.iterdir())] == ["config.json", "model.onnx"]
    return onnx.load(folder / "model.onnx"), report.error


def types(values: Any) -> list[int]:
    return [value.type.tensor_type.elem_type for value in values]


def test_a_graph_in_bf16(tmp_path: Path) -> None:
    model, error = export(tmp_path, Options(precision=BF16, target="cuda"))
    assert 1e-4 < error < 1e-2
    onnx.checker.check_model(model, full_check=True)
    assert types(model.graph.input) == types(model.graph.output) == [TensorProto.FLOAT]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    assert weights["network.conv.weight"].data_type == TensorProto.BFLOAT16
    # CUDA has no kernel of Resize in bfloat16: it stands between two casts.
    producer = {name: node for node in model.graph.node for name in node.output}
    (resize,) = (node for node in model.graph.node if node.op_type == "Resize")
    (after,) = (node for node in model.graph.node if resize.output[0] in node.input)
    assert [producer[resize.input[0]].attribute[0].i, after.attribute[0].i] == [TensorProto.FLOAT, TensorProto.BFLOAT16]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "stored", "stored_bytes"),
    [
        # 64 columns of 192 values: two blocks each, with a scale, or one scale.
        ("cpu", TensorProto.UINT8, 64 * 2 * (BLOCK + 4)),
        ("cuda", TensorProto.INT8, 64 * (192 + 4)),
    ],
)
def test_matrices_in_8_bits(target: str, stored: int, stored_bytes: int, tmp_path: Path) -> None:
    model, error = export(tmp_path / "int8", Options(quantize="int8-weights", target=target))
    plain, exact = export(tmp_path / "fp32", Options(target=target))
    assert exact < 1e-5 < error < 2e-2
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert list(kinds.values()).count(stored) == 1
    assert kinds["network.conv.weight"] == TensorProto.FLOAT
    saved = len(plain.SerializeToString()) - len(model.SerializeToString())
    assert saved == pytest.approx(192 * 64 * 4 - stored_bytes, abs=500)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    axis=st.integers(0, 1),
    zero=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_error_is_at_most_half_a_step(shape: tuple[int, int], axis: int, zero: bool, seed: int) -> None:
    matrix = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    if zero:
        matrix.swapaxes(0, axis)[0] = 0
    quantized, scales = quantize_matrix(matrix, axis)
    assert scales.shape == (shape[axis],)
    step = np.expand_dims(scales, 1 - axis)
    assert np.all(np.abs(quantized * step - matrix) <= step * 0.5001)
    assert np.abs(quantized.astype(int)).max() <= 127


@settings(deadline=None, max_examples=20)
@given(shape=st.tuples(st.integers(1, 5), st.integers(1, 3 * BLOCK)), zero=st.booleans(), seed=st.integers(0, 99))
def test_a_block_has_its_own_scale(shape: tuple[int, int], zero: bool, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    rows[:, BLOCK:] *= 100
    rows[0] *= not zero
    packed, scales = pack(rows)
    restored = (packed.astype(np.float32) - 128) * scales[..., None]
    step = np.repeat(scales, BLOCK, axis=1)
    padding = ((0, 0), (0, step.shape[1] - shape[1]))
    assert np.all(np.abs(restored.reshape(step.shape) - np.pad(rows, padding)) <= step * 0.5001)
    assert scales.shape == packed.shape[:2] == (shape[0], -(-shape[1] // BLOCK))


def products(transposed: int, side: int) -> tuple[ir.Model, np.ndarray[Any, np.dtype[np.float32]]]:
    """Products of one square matrix from both sides, one of them with a bias."""
    generator = np.random.default_rng(0)
    matrix, bias = (generator.standard_normal(shape, dtype=np.float32) for shape in ((side, side), side))
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            helper.make_node("Gemm", ["x", "w", "bias"], ["z"], transB=transposed),
            helper.make_node("Gemm", ["x", "w"], ["half"], alpha=0.5),
            helper.make_node("MatMul", ["w", "x"], ["left"]),
        ],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, side]) for name in ("y", "z", "half", "left")],
        [numpy_helper.from_array(matrix, "w"), numpy_helper.from_array(bias, "bias")],
    )
    return ir.serde.deserialize_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])), matrix


def run(model: ir.Model, x: np.ndarray[Any, Any]) -> dict[str, Any]:
    proto = ir.serde.serialize_model(model)
    onnx.checker.check_model(proto)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(("y", "z", "half", "left"), session.run(None, {"x": x}), strict=True))


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_weight_of_two_products(transposed: int) -> None:
    """MatMul has its outputs in columns, a transposed Gemm in rows; each gets the scales that are right for it."""
    model, matrix = products(transposed, 5)
    exact = run(model, np.eye(5, dtype=np.float32))
    assert quantize_weights(model, "cuda") == 2
    got = run(model, np.eye(5, dtype=np.float32))
    columns, rows = quantize_matrix(matrix, 1), quantize_matrix(matrix, 0)
    bias = exact["z"] - (matrix.T if transposed else matrix)
    np.testing.assert_allclose(got["y"], columns[0] * columns[1], rtol=2e-2, atol=1e-2)
    expected = (rows[0] * rows[1][:, None]).T if transposed else columns[0] * columns[1]
    np.testing.assert_allclose(got["z"], expected + bias, rtol=2e-2, atol=1e-2)
    np.testing.assert_array_equal(got["left"], matrix)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("side", [128, 200])
def test_products_for_a_cpu(transposed: int, side: int) -> None:
    """One packed matrix for all products that read it the same way, for sizes that no block divides, too."""
    model, _ = products(transposed, side)
    x = np.random.default_rng(1).standard_normal((side, side), dtype=np.float32)
    exact = run(model, x)
    weights = set(model.graph.initializers)
    assert quantize_weights(model, "cpu") == 2
    assert len(set(model.graph.initializers) - weights) == 2 * (1 + transposed)
    assert [node.op_type for node in model.graph] == ["MatMulNBits", "MatMulNBits", "Add", "Gemm", "MatMul"]
    got = run(model, x)
    for name in ("y", "z"):
        error = np.sqrt(np.square(got[name] - exact[name]).mean() / np.square(exact[name]).mean())
        assert 1e-5 < error < 2e-2
    np.testing.assert_array_equal(got["half"], exact["half"])
    np.testing.assert_array_equal(got["left"], exact["left"])


def test_a_small_matrix_is_not_quantized_for_a_cpu() -> None:
    model, _ = products(0, BLOCK - 1)
    assert quantize_weights(model, "cpu") == 0
    assert [node.op_type for node in model.graph] == ["MatMul", "Gemm", "Gemm", "MatMul"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "fp16", "quantize": "int8-weights"}, "for graphs in fp32: leave out --quantize, or --dtype fp16"),
        ({"dtype": "bf16", "opset": 21}, "bf16 needs opset 22 or more"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], message: str) -> None:
    defaults: dict[str, Any] = {"dtype": "fp32", "opset": 23, "target": "cpu", "quantize": None, "static": None}
    with pytest.raises(ConfigError, match=message):
        read_options(**defaults | options)
