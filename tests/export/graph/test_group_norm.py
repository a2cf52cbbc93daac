"""The rewrite of GroupNormalization is the same function."""

from collections import Counter
from pathlib import Path
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

from ddim_edge_export.graph.group_norm import rewrite_group_norms

Array = NDArray[np.float32]
MODELS = Path(__file__).parents[3] / "models"


def graph_of(
    groups: int,
    weight: Array,
    bias: Array,
    epsilon: float,
    rank: int,
    *,
    constant: bool = True,
    kind: int = TensorProto.FLOAT,
) -> ir.Model:
    """One group norm of x, and one of -x."""
    axes: list[str | int | None] = ["batch", len(weight), *(f"d{axis}" for axis in range(2, rank))]
    attributes: dict[str, Any] = {"num_groups": groups, "epsilon": epsilon}
    nodes = [
        helper.make_node("GroupNormalization", ["x", "weight", "bias"], ["y"], **attributes),
        helper.make_node("Neg", ["x"], ["negative"]),
        helper.make_node("GroupNormalization", ["negative", "weight", "bias"], ["z"], **attributes),
    ]
    inputs = [helper.make_tensor_value_info("x", kind, axes)]
    constants = [
        numpy_helper.from_array(value.astype(helper.tensor_dtype_to_np_dtype(kind)), name)
        for name, value in (("weight", weight), ("bias", bias))
    ]
    if not constant:
        inputs += [helper.make_tensor_value_info(name, kind, [len(weight)]) for name in ("weight", "bias")]
    graph = helper.make_graph(
        nodes,
        "norms",
        inputs,
        [helper.make_tensor_value_info(name, kind, axes) for name in "yz"],
        constants if constant else [],
        value_info=[helper.make_tensor_value_info("negative", kind, axes)],
    )
    return ir.serde.deserialize_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]))


def operators(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def run(model: ir.Model, x: NDArray[np.floating]) -> list[NDArray[np.floating]]:
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
    # A Shape to come back to and one of a group, and a vector of ones, are enough for both.
    assert operators(model) == {
        "Reshape": 4,
        "LayerNormalization": 2,
        "BatchNormalization": 2,
        "Shape": 2,
        "ConstantOfShape": 1,
        "Neg": 1,
    }

    for sign, got in zip((1, -1), run(model, x), strict=True):
        expected, rounding = group_norm(sign * x.astype(np.float64), groups, weight, bias, epsilon)
        assert np.all(abs(got - expected) <= rounding)


@pytest.mark.parametrize(("kind", "step"), [(TensorProto.FLOAT16, 2**-10), (TensorProto.BFLOAT16, 2**-7)])
def test_in_half_precision_weight_and_bias_are_an_operator_each(kind: int, step: float) -> None:
    random = np.random.default_rng(0)
    weight, bias = random.standard_normal((2, 6), dtype=np.float32)
    model = graph_of(3, weight, bias, 1e-5, 4, kind=kind)
    assert rewrite_group_norms(model) == 2
    assert operators(model) == {
        "Reshape": 4,
        "LayerNormalization": 2,
        "Mul": 2,
        "Add": 2,
        "Shape": 2,
        "ConstantOfShape": 1,
        "Neg": 1,
    }
    onnx.checker.check_model(ir.serde.serialize_model(model), full_check=True)
    if kind == TensorProto.FLOAT16:  # the CPU has no kernels of the other
        x = random.standard_normal((2, 6, 4, 5), dtype=np.float32).astype(np.float16)
        for sign, got in zip((1, -1), run(model, x), strict=True):
            expected, _ = group_norm(sign * x.astype(np.float64), 3, weight, bias, 1e-5)
            np.testing.assert_allclose(got, expected, atol=4 * step, rtol=4 * step)


def test_norms_of_images_and_of_rows_may_share_their_weights() -> None:
    """Weights that are equal, as those of a new network are, become one tensor of the graph."""
    kind = TensorProto.FLOAT16
    nodes = [
        helper.make_node("GroupNormalization", ["x", "weight", "bias"], ["y"], num_groups=2),
        helper.make_node("Reshape", ["x", "shape"], ["rows"]),
        helper.make_node("GroupNormalization", ["rows", "weight", "bias"], ["z"], num_groups=2),
    ]
    constants = [numpy_helper.from_array(np.ones(4, np.float16), name) for name in ("weight", "bias")]
    constants.append(numpy_helper.from_array(np.array([0, 4, -1]), "shape"))
    image: list[str | int | None] = ["batch", 4, 3, 4]
    rows: list[str | int | None] = ["batch", 4, 12]
    graph = helper.make_graph(
        nodes,
        "norms",
        [helper.make_tensor_value_info("x", kind, image)],
        [helper.make_tensor_value_info("y", kind, image), helper.make_tensor_value_info("z", kind, rows)],
        constants,
        value_info=[helper.make_tensor_value_info("rows", kind, rows)],
    )
    model = ir.serde.deserialize_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]))
    assert rewrite_group_norms(model) == 2
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 4)).astype(np.float16)
    y, z = run(model, x)
    np.testing.assert_array_equal(y.reshape(2, 4, 12), z)


def test_tensors_whose_sizes_have_no_name_share_nothing() -> None:
    one = np.ones(4, np.float32)
    model = graph_of(2, one, one, 1e-5, 4)
    for node in model.graph:
        for value in node.inputs:
            assert value is not None
            if value.const_value is None:
                value.shape = ir.Shape(["batch", 4, None, None])
    assert rewrite_group_norms(model) == 2
    assert operators(model)["Shape"] == 4


@pytest.mark.parametrize("change", ["weights that are inputs", "unknown rank", "double precision"])
def test_what_it_cannot_rewrite_stays(change: str) -> None:
    one = np.ones(4, np.float32)
    model = graph_of(2, one, one, 1e-5, 4, constant=change != "weights that are inputs")
    for node in model.graph:
        for value in node.inputs:
            assert value is not None
            if change == "unknown rank" and value.const_value is None:
                value.shape = None
            if change == "double precision":
                value.dtype = ir.DataType.DOUBLE
    assert rewrite_group_norms(model) == 0
    assert operators(model)["GroupNormalization"] == 2


@pytest.mark.parametrize("graph", sorted(MODELS.glob("**/model.onnx")), ids=lambda path: path.parent.name)
def test_the_bundled_graphs_have_no_norm_without_a_kernel_on_cuda(graph: Path) -> None:
    found = Counter(node.op_type for node in onnx.load(graph).graph.node)
    assert not found.keys() & {"GroupNormalization", "InstanceNormalization"}
    assert found["LayerNormalization"] >= found["BatchNormalization"]
