"""Writes the graphs that ``ddim-edge doctor`` tries providers with: ``python -m tests.cli.probe_graphs``."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ddim_edge.doctor.trial import PROBES

HEADS = 2
Array = NDArray[np.float32]


def weights(*shape: int) -> Array:
    """Numbers between -0.5 and 0.5 from a linear congruence: the same bits on every machine."""
    words = (np.arange(np.prod(shape), dtype=np.int64) * 7919 + 104729) % 1024
    return ((words - 512) / 1024).astype(np.float32).reshape(shape)


FILTERS, BIAS = weights(16, 8, 3, 3), weights(16)
QUERY = weights(32, 32)


def convolution() -> onnx.ModelProto:
    """A 3×3 convolution from 8 to 16 channels and SiLU, as the exporter writes them."""
    nodes = [
        helper.make_node("Conv", ["sample", "filters", "bias"], ["features"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["features"], ["gate"]),
        helper.make_node("Mul", ["features", "gate"], ["out"]),
    ]
    constants: dict[str, NDArray[Any]] = {"filters": FILTERS, "bias": BIAS}
    return _model("convolution", nodes, ["batch", 8, "height", "width"], ["batch", 16, "height", "width"], constants)


def attention() -> onnx.ModelProto:
    """Self-attention of two heads through the operator Attention, as the exporter writes it."""
    nodes = [helper.make_node("MatMul", ["sample", "query"], ["projected"])]
    for name in ("projected", "sample"):
        nodes += [
            helper.make_node("Reshape", [name, "split"], [f"{name}_split"], allowzero=0),
            helper.make_node("Transpose", [f"{name}_split"], [f"{name}_heads"], perm=[0, 2, 1, 3]),
        ]
    nodes += [
        helper.make_node("Attention", ["projected_heads", "sample_heads", "sample_heads"], ["mixed"], is_causal=0),
        helper.make_node("Transpose", ["mixed"], ["mixed_split"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["mixed_split", "joined"], ["out"], allowzero=0),
    ]
    constants: dict[str, NDArray[Any]] = {
        "query": QUERY,
        "split": np.array([0, 0, HEADS, 32 // HEADS], np.int64),
        "joined": np.array([0, 0, 32], np.int64),
    }
    return _model("attention", nodes, ["batch", "tokens", 32], ["batch", "tokens", 32], constants)


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    shape: list[int | str],
    out_shape: list[int | str],
    constants: dict[str, NDArray[Any]],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("sample", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out_shape)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


GRAPHS = {"convolution": convolution, "attention": attention}


def main() -> None:
    """Write both."""
    for name, graph in GRAPHS.items():
        file = PROBES / name / "model.onnx"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(graph().SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
