"""Static 8-bit quantization: ranges of all values are measured once, and products are sums of integers.

Between QuantizeLinear and DequantizeLinear, ONNX Runtime computes a convolution as QLinearConv and a product as
MatMulIntegerToFloat. Weights have a scale per output, values one scale for all; the range is the largest absolute
value in the calls. The first and the last convolution stay in float32.
"""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from onnxscript import ir

from ddim_edge.runtime.providers.onnxruntime_module import runtime
from ddim_edge_export.graph.initializers import add_initializer
from ddim_edge_export.graph.passes import save_graph

from .calls import Call

_ZERO, _LARGEST = 128, 127


def quantize_static(model: ir.Model, source: Path, calls: Sequence[Call]) -> None:
    """Quantize, in place, the constant products and convolutions of ``model``, which was read from ``source``."""
    graph = model.graph
    nodes = _quantizable(graph)
    ranges = _ranges(source, _value_names(nodes), calls)
    quantizer = _Quantizer(graph, ranges)
    for node in nodes:
        quantizer.quantize(node)
    graph.sort()
    ir.passes.common.RemoveUnusedNodesPass()(model)


def _quantizable(graph: ir.Graph) -> list[ir.Node]:
    convolutions = [node for node in graph if node.op_type == "Conv" and _is_constant(node.inputs[1], rank=4)]
    products = [node for node in graph if node.op_type == "MatMul" and _is_constant(node.inputs[1], rank=2)]
    return [*convolutions[1:-1], *products]


def _is_constant(weight: ir.Value | None, rank: int) -> bool:
    return weight is not None and weight.const_value is not None and weight.const_value.shape.rank() == rank


def _value_names(nodes: Iterable[ir.Node]) -> set[str]:
    """Inputs of all, and outputs of convolutions, which QLinearConv quantizes, too."""
    outputs = {str(node.outputs[0].name) for node in nodes if node.op_type == "Conv"}
    return outputs | {str(node.inputs[0].name) for node in nodes if node.inputs[0] is not None}


def _ranges(source: Path, names: set[str], calls: Sequence[Call]) -> dict[str, float]:
    """The largest absolute value in all calls, by name."""
    model = ir.load(source)
    values = {value.name: value for node in model.graph for value in node.outputs} | {
        value.name: value for value in model.graph.inputs
    }
    for name in sorted(names):
        magnitude = ir.node("Abs", [values[name]])
        largest = ir.node("ReduceMax", [magnitude.outputs[0]], {"keepdims": 0})
        output = largest.outputs[0]
        output.name, output.type, output.shape = f"{name}.largest", ir.TensorType(ir.DataType.FLOAT), ir.Shape([])
        model.graph.extend([magnitude, largest])
        model.graph.outputs.append(output)
    with tempfile.TemporaryDirectory() as folder:
        save_graph(model, Path(folder) / "model.onnx")
        session = runtime().InferenceSession(Path(folder) / "model.onnx", providers=["CPUExecutionProvider"])
        wanted = [f"{name}.largest" for name in sorted(names)]
        found = np.max([session.run(wanted, dict(call)) for call in calls], axis=0)
    return dict(zip(sorted(names), found.tolist(), strict=True))


class _Quantizer:
    """Puts QuantizeLinear and DequantizeLinear around the nodes; a value that several read is quantized once."""

    def __init__(self, graph: ir.Graph, ranges: dict[str, float]) -> None:
        self._graph, self._ranges = graph, ranges
        self._zero = add_initializer(graph, "value_zero", np.array(_ZERO, np.uint8))
        self._rounded: dict[ir.Value, ir.Value] = {}

    def quantize(self, node: ir.Node) -> None:
        value, weight = node.inputs[0], node.inputs[1]
        assert value is not None
        assert weight is not None
        node.replace_input_with(0, self._round(value))
        node.replace_input_with(1, self._restored_weight(node, weight))
        if not weight.uses():
            self._graph.initializers.pop(str(weight.name), None)
        if node.op_type == "Conv":
            users = list(node.outputs[0].uses())
            rounded = self._round(node.outputs[0])
            for user, position in users:
                if user.op_type != "QuantizeLinear":
                    user.replace_input_with(position, rounded)

    def _round(self, value: ir.Value) -> ir.Value:
        if value in self._rounded.values():
            return value
        if value not in self._rounded:
            step = np.float32(max(self._ranges[str(value.name)], 1e-6) / _LARGEST)
            scale = add_initializer(self._graph, f"{value.name}.step", step)
            quantized = ir.node("QuantizeLinear", [value, scale, self._zero])
            restored = ir.node("DequantizeLinear", [quantized.outputs[0], scale, self._zero])
            restored.outputs[0].name = f"{value.name}.rounded"
            self._graph.extend([quantized, restored])
            self._rounded[value] = restored.outputs[0]
        return self._rounded[value]

    def _restored_weight(self, node: ir.Node, weight: ir.Value) -> ir.Value:
        assert weight.const_value is not None
        values, axis = weight.const_value.numpy(), 0 if node.op_type == "Conv" else 1
        others = tuple(dimension for dimension in range(values.ndim) if dimension != axis)
        scales = np.abs(values).max(others) / np.float32(_LARGEST)
        scales[scales == 0] = 1
        quantized = np.rint(values / np.expand_dims(scales, others)).astype(np.int8)
        parts = {"int8": quantized, "scale": scales, "zero": np.zeros(len(scales), np.int8)}
        inputs = [add_initializer(self._graph, f"{node.name}.{part}", array) for part, array in parts.items()]
        restored = ir.node("DequantizeLinear", inputs, {"axis": axis})
        self._graph.append(restored)
        return restored.outputs[0]
