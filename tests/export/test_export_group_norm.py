"""The rewrite of GroupNormalization is the same function."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxscript import ir

from ddim_edge_export.group_norm import rewrite_group_norms

Array = NDArray[np.float32]


def graph_of(groups: int, weight: Array, bias: Array, epsilon: float, rank: int, *, constant: bool = True) -> ir.Model:
    """One group norm of x, and one of -x."""
    axes: list[str | int | None] = ["batch", len(weight), *(f"d{axis}" for axis in range(2, rank))]
    attributes: dict[str, Any] = {"num_groups": groups, "epsilon": epsilon}
    nodes = [
        helper.make_node("GroupNormalization", ["x", "weight", "bias"], ["y"], **attributes),
        helper.make_node("Neg", ["x"], ["negative"]),
        helper.make_node("GroupNormalization", ["negative", "weight", "bias"], ["z"], **attributes),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)]
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    if not constant:
        inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [len(weight)]) for name in ("weight", "bias")]
    graph = helper.make_graph(
        nodes,
        "norms",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name in "yz"],
        constants if constant else [],
        value_info=[helper.make_tensor_value_info("negative", TensorProto.FLOAT, axes)],
    )
    return ir.serde.deserialize_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]))


def run(model: ir.Model, x: Array) -> list[Array]:
    proto = ir.serde.serialize_model(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the weights that the rewrite no longer needs are still there
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(["y", "z"], {"x": x}))


def group_norm(
    x: NDArray[np.float64], groups: int, weight: Array, bias: Array, epsilon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The definition, in float64; and how far rounding x, the mean and the result to float32 may move it."""
    grouped = x.reshape(len(x), groups, -1)
    mean, variance = grouped.mean(2, keepdims=True), grouped.var(2, keepdims=True)
    scale = weight.reshape(-1, *(1,) * (x.ndim - 2))
    normal = ((grouped - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)
    result = normal * scale + bias.reshape(scale.shape)
    magnified = np.broadcast_to(abs(grouped).max(2, keepdims=True) / np.sqrt(variance + epsilon), grouped.shape)
    return result, 2e-6 * (1 + abs(result) + magnified.reshape(x.shape) * abs(scale))


@settings(deadline=None, max_examples=40)
@given(
    batch=st.integers(1, 3),
    groups=st.integers(1, 4),
    width=st.integers(1, 3),
    tail=st.lists(st.integers(2, 5), min_size=1, max_size=3),
    epsilon=st.sampled_from([1e-6, 1e-5, 0.1]),
    offset=st.sampled_from([0.0, 3.0]),
    seed=st.integers(0, 99),
)
def test_it_is_exact(
    batch: int, groups: int, width: int, tail: list[int], epsilon: float, offset: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    weight, bias = random.standard_normal((2, groups * width), dtype=np.float32)
    x = random.standard_normal((batch, groups * width, *tail), dtype=np.float32) + np.float32(offset)
    model = graph_of(groups, weight, bias, epsilon, x.ndim)
    assert rewrite_group_norms(model) == 2
    operators = [node.op_type for node in model.graph]
    assert "GroupNormalization" not in operators
    assert operators.count("Shape") == 1

    for sign, got in zip((1, -1), run(model, x), strict=True):
        expected, rounding = group_norm(sign * x.astype(np.float64), groups, weight, bias, epsilon)
        assert np.all(abs(got - expected) <= rounding)


@pytest.mark.parametrize("change", ["weights that are inputs", "unknown rank", "half precision"])
def test_what_it_cannot_rewrite_stays(change: str) -> None:
    one = np.ones(4, np.float32)
    model = graph_of(2, one, one, 1e-5, 4, constant=change != "weights that are inputs")
    for node in model.graph:
        for value in node.inputs:
            assert value is not None
            if change == "unknown rank" and value.const_value is None:
                value.shape = None
            if change == "half precision":
                value.dtype = ir.DataType.FLOAT16
    assert rewrite_group_norms(model) == 0
    assert [node.op_type for node in model.graph].count("GroupNormalization") == 2
