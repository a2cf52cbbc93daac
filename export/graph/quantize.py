"""Quantizes the weights of matrix products to 8 bits: a quarter of the size.

Symmetric: W = scale · q. For a CPU each product of at least 128 terms becomes a MatMulNBits, an operator of ONNX
Runtime (``matmul_nbits.py``). For GPUs a DequantizeLinear in the graph restores the weights, with one scale per output:
every provider has a kernel for it. Convolutions are not quantized: ONNX Runtime's CPU provider reorders their weights
when it loads them, which is only possible with constants. A DequantizeLinear before each makes them a third slower.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from onnxscript import ir

from .initializers import add_initializer
from .matmul_nbits import BLOCK, MatMulNBits

_LARGEST = 127


def quantize_weights(model: ir.Model, target: str) -> int:
    """Quantize, in place, the constant matrices of all MatMul and Gemm. Returns how many products."""
    replace: Callable[[ir.Node, ir.Value, bool], None] = (
        MatMulNBits(model) if target == "cpu" else _Dequantized(model.graph)
    )
    weights = list[ir.Value]()
    for node in list(model.graph):
        weight = _constant_matrix(node)
        is_transposed = bool(node.attributes.get_int("transB", 0))
        if weight is not None and (target != "cpu" or _inner_size(weight, is_transposed) >= BLOCK):
            replace(node, weight, is_transposed)
            weights.append(weight)
    for weight in weights:
        if not weight.uses():
            model.graph.initializers.pop(str(weight.name), None)
    model.graph.sort()
    return len(weights)


def _constant_matrix(node: ir.Node) -> ir.Value | None:
    """The constant matrix, float32 (K, N) or (N, K), of a product; None for any other node."""
    if node.op_type not in ("MatMul", "Gemm"):
        return None
    weight = node.inputs[1]
    if weight is None or weight.const_value is None or not weight.is_initializer():
        return None
    if weight.dtype != ir.DataType.FLOAT or weight.const_value.shape.rank() != 2:
        return None
    return weight if _is_plain(node) else None


def _is_plain(node: ir.Node) -> bool:
    """Whether the node computes A·B + C; a Gemm can scale both terms and transpose A."""
    scales = [node.attributes.get_float(name, 1.0) for name in ("alpha", "beta")]
    return scales == [1, 1] and not node.attributes.get_int("transA", 0)


def _inner_size(weight: ir.Value, is_transposed: bool) -> int:
    """K, over which the products are summed. The padding of one below a block would cost more than it saves."""
    assert weight.const_value is not None
    return int(weight.const_value.shape.numpy()[1 if is_transposed else 0])


class _Dequantized:
    """Stores matrices in int8, each followed by a DequantizeLinear that all its products share."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._restored: dict[tuple[str, bool], ir.Value] = {}

    def __call__(self, node: ir.Node, weight: ir.Value, is_transposed: bool) -> None:
        """Let ``node`` read the restored matrix."""
        key = (str(weight.name), is_transposed)
        if key not in self._restored:
            self._restored[key] = self._restore(weight, axis=0 if is_transposed else 1)
        node.replace_input_with(1, self._restored[key])

    def _restore(self, weight: ir.Value, axis: int) -> ir.Value:
        assert weight.const_value is not None
        quantized, scales = quantize_matrix(weight.const_value.numpy(), axis)
        inputs = [
            add_initializer(self._graph, f"{weight.name}.{suffix}.{axis}", array)
            for suffix, array in (("int8", quantized), ("scale", scales))
        ]
        node = ir.node("DequantizeLinear", inputs, {"axis": axis})
        node.outputs[0].name = f"{weight.name}.float.{axis}"
        self._graph.append(node)
        return node.outputs[0]


def quantize_matrix(matrix: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The matrix in int8, and one scale per entry of ``axis``."""
    scales = np.abs(matrix).max(axis=1 - axis) / np.float32(_LARGEST)
    scales[scales == 0] = 1
    return np.rint(matrix / np.expand_dims(scales, 1 - axis)).astype(np.int8), scales
