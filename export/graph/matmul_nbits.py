"""Matrix products with 8-bit weights as ONNX Runtime's operator MatMulNBits, which never restores the whole matrix.

A column of the matrix is cut into blocks of 128 values, each with its own scale. On a CPU with the instructions for it,
ONNX Runtime also rounds the other factor to 8 bits, in blocks of the same size, when it computes a product, and adds up
integers. Smaller blocks are a little more exact, and slower than float32.
"""

import numpy as np
from numpy.typing import NDArray
from onnxscript import ir

from .initializers import add_initializer

BLOCK = 128
_BITS = 8
_ZERO = 128
"""The stored value, uint8, that means 0."""
_LARGEST = 127
_INTEGER_ARITHMETIC = 4
_DOMAIN = "com.microsoft"


class MatMulNBits:
    """Replaces products of a constant matrix by MatMulNBits. Products of the same matrix share its packed form."""

    def __init__(self, model: ir.Model) -> None:
        model.opset_imports[_DOMAIN] = 1
        self._graph = model.graph
        self._packed: dict[tuple[str, bool], tuple[ir.Value, ir.Value]] = {}

    def __call__(self, node: ir.Node, weight: ir.Value, is_transposed: bool) -> None:
        """Replace ``node``, whose second input is ``weight``, float32 (K, N), or (N, K) if it is transposed."""
        key = (str(weight.name), is_transposed)
        if key not in self._packed:
            self._packed[key] = self._pack(weight, is_transposed)
        assert weight.const_value is not None
        inner, outer = weight.const_value.shape.numpy()[:: -1 if is_transposed else 1]
        attributes = {"K": inner, "N": outer, "bits": _BITS, "block_size": BLOCK, "accuracy_level": _INTEGER_ARITHMETIC}
        product = ir.node("MatMulNBits", [node.inputs[0], *self._packed[key]], attributes, domain=_DOMAIN)
        product.outputs[0].name = f"{node.outputs[0].name}.product"
        nodes = [product]
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            nodes.append(ir.node("Add", [product.outputs[0], node.inputs[2]]))
        ir.convenience.replace_nodes_and_values(self._graph, node, [node], nodes, node.outputs, nodes[-1].outputs)

    def _pack(self, weight: ir.Value, is_transposed: bool) -> tuple[ir.Value, ir.Value]:
        assert weight.const_value is not None
        matrix = weight.const_value.numpy()
        quantized, scales = pack(matrix if is_transposed else matrix.T)
        name = f"{weight.name}.transposed" if is_transposed else str(weight.name)
        return (
            add_initializer(self._graph, f"{name}.uint8", quantized),
            add_initializer(self._graph, f"{name}.block_scale", scales),
        )


def pack(rows: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The matrix (N, K) in the operator's layout: uint8 (N, blocks, 128), and scales (N, blocks).

    Values beyond K are 0.
    """
    count, length = rows.shape
    blocks = -(-length // BLOCK)
    padded = np.zeros((count, blocks * BLOCK), np.float32)
    padded[:, :length] = rows
    padded = padded.reshape(count, blocks, BLOCK)
    scales = np.abs(padded).max(axis=2) / np.float32(_LARGEST)
    scales[scales == 0] = 1
    return (np.rint(padded / scales[..., None]) + _ZERO).astype(np.uint8), scales
