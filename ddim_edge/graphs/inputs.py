"""Reads a graph's inputs, outputs and operators from its file, without ONNX Runtime."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..errors import BundleError
from .protobuf import fields, mapped, varint

# The field numbers of onnx.proto.
_GRAPH, _NODE, _OPERATOR, _INPUT, _OUTPUT, _INITIALIZER, _INITIALIZER_NAME = 7, 1, 4, 11, 12, 5, 8
_NAME, _TYPE, _TENSOR, _ELEMENT, _SHAPE, _DIMENSION, _LENGTH, _LENGTH_NAME = 1, 2, 1, 1, 2, 1, 1, 2
_FLOAT16 = (10, 16)  # and bfloat16
_REAL = (1, *_FLOAT16, 11)
_ON_QUANTIZED = (
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    *("MatMulNBits", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul"),
)


T = TypeVar("T")


class Declared(NamedTuple):
    """An input or output: its type, by its number in onnx.proto, and its shape, with a name for each free axis."""

    element: int
    shape: tuple[int | str, ...]

    @property
    def is_half(self) -> bool:
        """Whether it is fp16 or bfloat16."""
        return self.element in _FLOAT16

    @property
    def is_real(self) -> bool:
        """Whether it has numbers with a fraction."""
        return self.element in _REAL


def declared_inputs(graph: Path) -> dict[str, Declared]:
    """The inputs of a graph by name, in order. Raises BundleError where the file is not an ONNX graph."""
    return _read(graph, lambda message: dict(_inputs(message)))


def declared_outputs(graph: Path) -> dict[str, Declared]:
    """The outputs of a graph by name, in order. Raises BundleError where the file is not an ONNX graph."""
    return _read(graph, lambda message: dict(map(_declared, _children(message, _OUTPUT))))


def operators(graph: Path) -> Counter[str]:
    """The number of nodes of each operator type. Raises BundleError where the file is not an ONNX graph."""
    return _read(graph, lambda message: Counter(_text(node, _OPERATOR) for node in _children(message, _NODE)))


def is_quantized(graph: Path) -> bool:
    """Whether the graph has scales to round activations to 8 bits; quantized weights alone are not enough."""
    return operators(graph)["QuantizeLinear"] > 0


def quantized_operators(graph: Path) -> dict[str, int]:
    """The number of nodes of each operator that takes or makes quantized values, by type; empty for most graphs."""
    return {name: count for name, count in sorted(operators(graph).items()) if name in _ON_QUANTIZED}


def _read(graph: Path, read: Callable[[memoryview], T]) -> T:
    # Errors end inside, because their traceback has views of the file, which cannot be closed as long as there are any.
    with mapped(graph) as view, contextlib.suppress(StopIteration, IndexError, EOFError, UnicodeDecodeError):
        return _read_message(view, read)
    raise BundleError(f"{graph} is not an ONNX graph, or is cut short: export or copy it again")


def _read_message(view: memoryview, read: Callable[[memoryview], T]) -> T:
    # A separate function, so that no view of the file is referenced when the file is closed.
    return read(next(_children(view, _GRAPH)))


def _inputs(message: memoryview) -> Iterator[tuple[str, Declared]]:
    # Before version 4 of the format, every initializer was an input as well.
    weights = {_text(contents, _INITIALIZER_NAME) for contents in _children(message, _INITIALIZER)}
    for contents in _children(message, _INPUT):
        if _text(contents, _NAME) not in weights:
            yield _declared(contents)


def _declared(contents: memoryview) -> tuple[str, Declared]:
    tensor = _child(_child(contents, _TYPE), _TENSOR)
    return _text(contents, _NAME), Declared(_number(tensor, _ELEMENT), tuple(_shape(_child(tensor, _SHAPE))))


def _shape(message: memoryview) -> Iterator[int | str]:
    for contents in _children(message, _DIMENSION):
        yield _number(contents, _LENGTH) or _text(contents, _LENGTH_NAME) or "?"


def _children(message: memoryview, wanted: int) -> Iterator[memoryview]:
    return (contents for number, contents in fields(message) if number == wanted)


def _child(message: memoryview, wanted: int) -> memoryview:
    return next(_children(message, wanted), message[:0])


def _number(message: memoryview, wanted: int) -> int:
    contents = _child(message, wanted)
    return varint(contents)[0] if len(contents) else 0


def _text(message: memoryview, wanted: int) -> str:
    return bytes(_child(message, wanted)).decode()
