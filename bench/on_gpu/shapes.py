"""Infers all shapes of a graph from those of its inputs."""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

Shape = tuple[int, ...]

_LIKE_INPUT = ("GroupNormalization",)
_LARGEST = 64
"""The most elements of a constant that may be a shape or a part of one."""


def with_shapes(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> onnx.ModelProto:
    """The model with the ``shapes`` of its inputs, and all that follow from them, in its value_info.

    onnx's inference gives up where a shape is computed by more than a few kinds of nodes, so values that are computed
    from known shapes alone are replaced by constants, until nothing changes.
    """
    for value in model.graph.input:
        if value.name in shapes:
            dims = [onnx.TensorShapeProto.Dimension(dim_value=side) for side in shapes[value.name]]
            value.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=dims))
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    _simplify(model.graph)
    while True:
        del model.graph.value_info[:]
        model = shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True)
        if not _fold(model):
            return model


def known_shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    """The shapes that are known in every dimension."""
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def _simplify(graph: onnx.GraphProto) -> None:
    """Remove what shapes do not depend on: the weights' values, and nodes that onnx skips as functions."""
    for tensor in graph.initializer:
        if int(np.prod(tensor.dims)) > _LARGEST:
            kept = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
            kept.data_location = onnx.TensorProto.EXTERNAL
            tensor.CopyFrom(kept)
    for node in graph.node:
        if node.op_type in _LIKE_INPUT:
            node.CopyFrom(onnx.helper.make_node("Identity", node.input[:1], node.output))


def _fold(model: onnx.ModelProto) -> bool:
    """Replace values computed from known shapes by constants; False if there were none."""
    graph, shapes = model.graph, known_shapes(model.graph)
    constants = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if _is_small_whole_number(tensor)
    }
    folded = list[onnx.NodeProto]()
    for node in graph.node:
        values = _value(node, shapes, constants, model.opset_import)
        if values is not None:
            constants |= dict(zip(node.output, values, strict=False))
            folded.append(node)
    for node in folded:
        graph.node.remove(node)
        graph.initializer.extend(numpy_helper.from_array(constants[name], name) for name in node.output)
    return bool(folded)


def _is_small_whole_number(tensor: onnx.TensorProto) -> bool:
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    inside = tensor.data_location != onnx.TensorProto.EXTERNAL
    return inside and np.issubdtype(kind, np.integer) and int(np.prod(tensor.dims)) <= _LARGEST


def _value(
    node: onnx.NodeProto, shapes: Mapping[str, Shape], constants: Mapping[str, NDArray[np.int64]], opsets: object
) -> list[NDArray[np.int64]] | None:
    """The outputs of a node; None if they are unknown, or cannot be shapes."""
    if node.op_type == "Shape":
        shape = shapes.get(node.input[0])
        return None if shape is None else [_run(node, {node.input[0]: np.empty(shape, np.bool_)}, opsets)[0]]
    names = [name for name in node.input if name]
    if not names or not all(name in constants for name in names):
        return None
    values = _run(node, {name: constants[name] for name in names}, opsets)
    return (
        values if all(np.issubdtype(value.dtype, np.integer) and value.size <= _LARGEST for value in values) else None
    )


def _run(node: onnx.NodeProto, feeds: Mapping[str, NDArray[np.generic]], opsets: object) -> list[NDArray[np.int64]]:
    inputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in feeds]
    outputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in node.output]
    graph = onnx.helper.make_graph([node], "one", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=list(opsets))  # type: ignore[call-overload]
    return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, dict(feeds))]
