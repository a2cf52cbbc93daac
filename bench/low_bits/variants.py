"""The graphs that are compared: what the exporter writes, and what was tried and is not built."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from onnxscript import ir

from ddim_edge_export.graph.initializers import add_initializer
from ddim_edge_export.graph.passes import save_graph
from ddim_edge_export.graph.quantize import quantize_weights

from .calls import Call
from .static import quantize_static

_STATIC = "static 8 bits"
_FOUR_BITS_BLOCK = 128


def write(source: Path, title: str, calls: Sequence[Call], folder: Path) -> Path:
    """Write the variant ``title`` of the graph ``source`` to ``folder``; static ranges come from ``calls``."""
    model = ir.load(source)
    if title == _STATIC:
        quantize_static(model, source, calls)
    else:
        _REWRITES[title](model)
    save_graph(model, folder / "model.onnx")
    return folder / "model.onnx"


def matrices_in_4_bits(model: ir.Model) -> None:
    """Quantize MatMul's matrices in blocks of 128, which ONNX Runtime computes as MatMulNBits."""
    for node, weight in _constant(model.graph, "MatMul", rank=2):
        matrix = weight.numpy()
        blocks = [matrix[start : start + _FOUR_BITS_BLOCK] for start in range(0, len(matrix), _FOUR_BITS_BLOCK)]
        scales = np.stack([_scales(block, axis=0, largest=7) for block in blocks])
        quantized = np.concatenate([np.rint(block / scale) for block, scale in zip(blocks, scales, strict=True)])
        attributes = {"axis": 0, "block_size": _FOUR_BITS_BLOCK}
        _dequantize(model.graph, node, quantized.astype(ml_dtypes.int4), scales, attributes)
    model.graph.sort()


def convolutions_in_8_bits(model: ir.Model) -> None:
    """Quantize the weights of convolutions, each followed by a DequantizeLinear."""
    for node, weight in _constant(model.graph, "Conv", rank=4):
        scales = _scales(weight.numpy(), axis=(1, 2, 3), largest=127)
        quantized = np.rint(weight.numpy() / scales[:, None, None, None]).astype(np.int8)
        _dequantize(model.graph, node, quantized, scales, {"axis": 0})
    model.graph.sort()


def _both(model: ir.Model) -> None:
    quantize_weights(model, "cpu")
    convolutions_in_8_bits(model)


_REWRITES: Mapping[str, Callable[[ir.Model], object]] = {
    "`int8-weights`, for a CPU": partial(quantize_weights, target="cpu"),
    "`int8-weights`, for a GPU": partial(quantize_weights, target="cuda"),
    "4 bits, blocks of 128": matrices_in_4_bits,
    "`int8-weights`, and convolutions": _both,
}
VARIANTS = (*_REWRITES, _STATIC)


def _constant(graph: ir.Graph, kind: str, rank: int) -> Iterator[tuple[ir.Node, ir.TensorProtocol]]:
    for node in [node for node in graph if node.op_type == kind]:
        weight = node.inputs[1]
        if weight is not None and weight.const_value is not None and weight.const_value.shape.rank() == rank:
            yield node, weight.const_value


def _scales(values: NDArray[np.float32], axis: int | tuple[int, ...], largest: int) -> NDArray[np.float32]:
    scales: NDArray[np.float32] = np.abs(values).max(axis) / np.float32(largest)
    scales[scales == 0] = 1
    return scales


def _dequantize(
    graph: ir.Graph,
    node: ir.Node,
    quantized: NDArray[np.generic],
    scales: NDArray[np.float32],
    attributes: Mapping[str, int],
) -> None:
    """Let ``node`` read its weights from a DequantizeLinear."""
    weight = node.inputs[1]
    assert weight is not None
    inputs = [
        add_initializer(graph, f"{node.name}.quantized", quantized),
        add_initializer(graph, f"{node.name}.scale", scales),
    ]
    restored = ir.node("DequantizeLinear", inputs, attributes)
    restored.outputs[0].name = f"{node.name}.restored"
    graph.append(restored)
    node.replace_input_with(1, restored.outputs[0])
    if not weight.uses():
        graph.initializers.pop(str(weight.name), None)
