"""Quantizes the weights of matrix products to 8 bits: a quarter of the size, computed in float32.

Symmetric, one scale per output: W = scale · q with q from -127 to 127. A DequantizeLinear in the graph restores them;
every provider has a kernel for it. Convolutions are not quantized: ONNX Runtime's CPU provider reorders their weights
when it loads them, which is only possible with constants.
"""

import numpy as np
from numpy.typing import NDArray
from onnxscript import ir

_LARGEST = 127


def quantize_weights(model: ir.Model) -> int:
    """Quantize, in place, the constant matrices of all MatMul and Gemm. Returns how many."""
    done: dict[tuple[str, int], ir.Value] = {}
    for node in list(model.graph):
        axis = _axis_of_outputs(node)
        if axis is None:
            continue
        weight = node.inputs[1]
        assert weight is not None
        key = (str(weight.name), axis)
        if key not in done:
            done[key] = _add_dequantize(model.graph, weight, axis)
        node.replace_input_with(1, done[key])
    for name, _ in done:
        if not model.graph.initializers[name].uses():
            del model.graph.initializers[name]
    model.graph.sort()
    return len(done)


def _axis_of_outputs(node: ir.Node) -> int | None:
    """The output axis of a product's constant matrix; None for any other node."""
    if node.op_type not in ("MatMul", "Gemm"):
        return None
    weight = node.inputs[1]
    if weight is None or weight.const_value is None or not weight.is_initializer():
        return None
    if weight.dtype != ir.DataType.FLOAT or weight.const_value.shape.rank() != 2:
        return None
    return 0 if node.op_type == "Gemm" and node.attributes.get_int("transB", False) else 1


def _add_dequantize(graph: ir.Graph, weight: ir.Value, axis: int) -> ir.Value:
    assert weight.const_value is not None
    quantized, scales = quantize_matrix(weight.const_value.numpy(), axis)
    inputs = []
    for suffix, array in (("int8", quantized), ("scale", scales)):
        name = f"{weight.name}.{suffix}.{axis}"
        tensor = ir.tensor(array, name=name)
        value = ir.Value(name=name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))
        graph.register_initializer(value)
        inputs.append(value)
    node = ir.node("DequantizeLinear", inputs, {"axis": axis})
    node.outputs[0].name = f"{weight.name}.float.{axis}"
    graph.append(node)
    return node.outputs[0]


def quantize_matrix(matrix: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The matrix in int8, and one scale per entry of ``axis``."""
    scales = np.abs(matrix).max(axis=1 - axis) / np.float32(_LARGEST)
    scales[scales == 0] = 1
    return np.rint(matrix / np.expand_dims(scales, 1 - axis)).astype(np.int8), scales
