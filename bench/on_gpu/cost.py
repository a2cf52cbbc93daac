"""The least cost of one call of an ONNX graph: operations and bytes, counted from its shapes.

``torch.utils.flop_counter`` does not serve here: it counts PyTorch's operations, without attention on the CPU (0.3 % of
the bundled UNet's), and it counts no bytes, which the floor of a call needs node by node.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from .shapes import Shape, known_shapes, with_shapes


@dataclass(frozen=True)
class Work:
    """One node that multiplies: its floating-point operations, and the bytes that it must read and write."""

    flops: int
    bytes: int


@dataclass(frozen=True)
class Cost:
    """One call of a graph.

    Attributes:
        works: its convolutions, matrix products and attentions; the time of all other nodes is neglected.
        weights: bytes of its weights.
        activations: the most bytes of values that exist at one time, in the graph's order.
    """

    works: tuple[Work, ...]
    weights: int
    activations: int

    @property
    def flops(self) -> int:
        """Of all nodes; a multiplication and an addition are two."""
        return sum(work.flops for work in self.works)

    def seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """A lower bound for any implementation: all operations at full rate, or all weights read once."""
        return max(self.flops / flops_per_second, self.weights / bytes_per_second)

    def roofline(self, flops_per_second: float, bytes_per_second: float) -> float:
        """The same node by node: each reads its inputs from memory, writes its output there, and begins after the
        one before it. A cache, or nodes that are one kernel, can beat it.
        """
        return sum(max(work.flops / flops_per_second, work.bytes / bytes_per_second) for work in self.works)


def cost_of(path: Path, shapes: Mapping[str, Shape]) -> Cost:
    """Count a graph at the ``shapes`` of its inputs. ValueError where a shape that is needed cannot be inferred."""
    graph = with_shapes(onnx.load(path, load_external_data=False), shapes).graph
    values = Values(graph)
    works = tuple(work for node in graph.node for work in _work(node, values))
    return Cost(works, sum(values.bytes_of(tensor.name) for tensor in graph.initializer), _peak(graph, values))


class Values:
    """Shapes and sizes of a graph's values, by name."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.weights = {tensor.name for tensor in graph.initializer}
        self._shapes = known_shapes(graph)
        self._types = {tensor.name: tensor.data_type for tensor in graph.initializer}
        for value in (*graph.input, *graph.output, *graph.value_info):
            self._types[value.name] = value.type.tensor_type.elem_type

    def shape(self, name: str) -> Shape:
        """ValueError where it was not inferred."""
        if name not in self._shapes:
            raise ValueError(f"the shape of {name} cannot be inferred")
        return self._shapes[name]

    def bytes_of(self, name: str) -> int:
        """Zero for an unknown name."""
        if not name or name not in self._shapes:
            return 0
        return math.prod(self._shapes[name]) * helper.tensor_dtype_to_np_dtype(self._types[name]).itemsize


def _work(node: onnx.NodeProto, values: Values) -> Iterator[Work]:
    flops = _flops(node, values)
    if flops:
        names = (*node.input, *node.output)
        yield Work(flops, sum(values.bytes_of(name) for name in names))


def _flops(node: onnx.NodeProto, values: Values) -> int:
    match node.op_type:
        case "Conv":
            _, channels, *kernel = values.shape(node.input[1])
            return 2 * math.prod(values.shape(node.output[0])) * channels * math.prod(kernel)
        case "ConvTranspose":
            _, channels, *kernel = values.shape(node.input[1])
            return 2 * math.prod(values.shape(node.input[0])) * channels * math.prod(kernel)
        case "MatMul":
            return 2 * math.prod(values.shape(node.output[0])) * values.shape(node.input[0])[-1]
        case "Gemm":
            rows = values.shape(node.input[0])[0 if _attribute(node, "transA", 0) else 1]
            return 2 * math.prod(values.shape(node.output[0])) * rows
        case "Attention":
            return _attention_flops(node, values)
    return 0


def _attention_flops(node: onnx.NodeProto, values: Values) -> int:
    """Queries by keys, and weights by values: (batch, heads, length, size), or (batch, length, heads·size)."""
    query, key, value = (values.shape(name) for name in node.input[:3])
    if len(query) == 4:
        batch, heads, length, size = query
        others, out_size = key[2], value[3]
        return 2 * batch * heads * length * others * (size + out_size)
    return 2 * query[0] * query[1] * key[1] * (query[2] + _width(value, node))


def _width(value: Shape, node: onnx.NodeProto) -> int:
    """The width of all heads' values; one that several query heads share counts for each of them."""
    heads, shared = _attribute(node, "q_num_heads", 1), _attribute(node, "kv_num_heads", 1)
    return value[2] * heads // shared


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def _peak(graph: onnx.GraphProto, values: Values) -> int:
    """The most bytes that are alive at one node: made or given before, and read there or later."""
    last = _last_uses(graph.node, [output.name for output in graph.output])
    alive = sum(values.bytes_of(value.name) for value in graph.input)
    most = alive
    for position, node in enumerate(graph.node):
        alive += sum(values.bytes_of(name) for name in node.output)
        most = max(most, alive)
        ended = {name for name in (*node.input, *node.output) if last.get(name, position) == position}
        alive -= sum(values.bytes_of(name) for name in ended - values.weights)
    return most


def _last_uses(nodes: Sequence[Any], outputs: Sequence[str]) -> dict[str, int]:
    last = {name: position for position, node in enumerate(nodes) for name in node.input}
    return last | dict.fromkeys(outputs, len(nodes))
