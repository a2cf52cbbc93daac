"""Graphs in bfloat16: adds casts to float32, and writes a float32 copy that a CPU can run.

NumPy has no bfloat16, so inputs and outputs are float32. ONNX Runtime's CPU provider has almost no bfloat16 kernels.
Therefore the comparison with PyTorch uses the same graph with the same rounded weights, computed in float32.
"""

from pathlib import Path

import numpy as np
from onnxscript import ir

_NO_KERNELS = ("Resize", "Pad", "ConvTranspose", "ReduceMean", "InstanceNormalization")
"""Operators for which ONNX Runtime's CUDA provider has kernels, but not in bfloat16."""
_FLOAT, _BFLOAT = ir.DataType.FLOAT, ir.DataType.BFLOAT16


def add_float32_casts(model: ir.Model) -> None:
    """Make inputs, outputs, and operators without a bfloat16 kernel float32, in place."""
    graph = model.graph
    for node in [node for node in graph if node.op_type in _NO_KERNELS]:
        _compute_in_float32(graph, node)
    for value in [value for value in graph.inputs if value.dtype == _BFLOAT]:
        value.type = ir.TensorType(_FLOAT)
        users = list(value.uses())
        cast = _cast(value, _BFLOAT)
        graph.insert_before(graph[0], cast)
        for node, position in users:
            node.replace_input_with(position, cast.outputs[0])
    for position, value in enumerate(graph.outputs):
        if value.dtype == _BFLOAT:
            graph.outputs[position] = _float32_output(graph, value)


def write_as_float32(source: Path, out: Path) -> None:
    """Write the bfloat16 graph ``source`` to ``out`` in float32, weights included, in a file of their own."""
    model = ir.load(source)
    for value in model.graph.initializers.values():
        if value.const_value is not None and value.const_value.dtype == _BFLOAT:
            value.const_value = _as_float32(value.const_value)
            value.type = ir.TensorType(_FLOAT)
    for node in model.graph:
        for name, attribute in list(node.attributes.items()):
            if name == "to" and attribute.as_int() == _BFLOAT:
                node.attributes[name] = ir.AttrInt64(name, _FLOAT)
            if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype == _BFLOAT:
                node.attributes[name] = ir.AttrTensor(name, _as_float32(attribute.as_tensor()))
    ir.save(model, out, external_data=f"{out.name}_data")


def _compute_in_float32(graph: ir.Graph, node: ir.Node) -> None:
    for position, value in enumerate(node.inputs):
        if value is not None and value.dtype == _BFLOAT:
            cast = _cast(value, _FLOAT)
            graph.insert_before(node, cast)
            node.replace_input_with(position, cast.outputs[0])
    for value in node.outputs:
        if value.dtype == _BFLOAT:
            users = list(value.uses())
            value.type = ir.TensorType(_FLOAT)
            back = _cast(value, _BFLOAT)
            graph.insert_after(node, back)
            for user, position in users:
                user.replace_input_with(position, back.outputs[0])


def _float32_output(graph: ir.Graph, value: ir.Value) -> ir.Value:
    cast = _cast(value, _FLOAT)
    graph.append(cast)
    cast.outputs[0].name, value.name = value.name, f"{value.name}.bfloat16"
    cast.outputs[0].shape = value.shape
    return cast.outputs[0]


def _cast(value: ir.Value, dtype: ir.DataType) -> ir.Node:
    node = ir.node("Cast", [value], {"to": dtype.value})
    node.outputs[0].type = ir.TensorType(dtype)
    return node


def _as_float32(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.LazyTensor(
        lambda: ir.tensor(tensor.numpy().astype(np.float32)),
        dtype=_FLOAT,
        shape=ir.Shape(tensor.shape.numpy()),
        name=tensor.name,
    )
