"""What a graph declares that it is fed, read from its file: no runtime, and no kernels for it, are needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .errors import BundleError
from .onnx_file import fields, mapped, varint

# The field numbers of onnx.proto.
_GRAPH, _INPUT, _INITIALIZER, _INITIALIZER_NAME = 7, 11, 5, 8
_NAME, _TYPE, _TENSOR, _ELEMENT, _SHAPE, _DIMENSION, _LENGTH, _LENGTH_NAME = 1, 2, 1, 1, 2, 1, 1, 2
_FLOAT16 = (10, 16)  # and bfloat16
_QUANTIZED = b"DequantizeLinear"


class Declared(NamedTuple):
    """An input: whether it is of half precision, and its shape, with a name for an axis that is free."""

    is_half: bool
    shape: tuple[int | str, ...]


def declared_inputs(graph: Path) -> dict[str, Declared]:
    """The inputs of a graph by name, in their order; BundleError where the file is no ONNX graph."""
    try:
        with mapped(graph) as view:
            return _read(view)
    except (StopIteration, IndexError, EOFError, UnicodeDecodeError):
        raise BundleError(f"{graph} is not an ONNX graph, or is cut short: export or copy it again") from None


def is_quantized(graph: Path) -> bool:
    """Whether the graph has nodes that bring numbers of few bits back to floating point, as int8 needs."""
    return _QUANTIZED in graph.read_bytes()


def _read(view: memoryview) -> dict[str, Declared]:
    # Of its own, so that no part of the file is held when it is closed.
    return dict(_inputs(next(contents for number, contents in fields(view) if number == _GRAPH)))


def _inputs(message: memoryview) -> Iterator[tuple[str, Declared]]:
    # Before version 4 of the format, every initializer was an input as well.
    weights = {_text(contents, _INITIALIZER_NAME) for number, contents in fields(message) if number == _INITIALIZER}
    for number, contents in fields(message):
        if number == _INPUT and (name := _text(contents, _NAME)) not in weights:
            tensor = _child(_child(contents, _TYPE), _TENSOR)
            yield name, Declared(_number(tensor, _ELEMENT) in _FLOAT16, tuple(_shape(_child(tensor, _SHAPE))))


def _shape(message: memoryview) -> Iterator[int | str]:
    for number, contents in fields(message):
        if number == _DIMENSION:
            yield _number(contents, _LENGTH) or _text(contents, _LENGTH_NAME) or "?"


def _child(message: memoryview, wanted: int) -> memoryview:
    return next((contents for number, contents in fields(message) if number == wanted), message[:0])


def _number(message: memoryview, wanted: int) -> int:
    contents = _child(message, wanted)
    return varint(contents)[0] if len(contents) else 0


def _text(message: memoryview, wanted: int) -> str:
    return bytes(_child(message, wanted)).decode()
