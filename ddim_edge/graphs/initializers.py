"""Finds the weights of a graph in its files, without the package onnx, so that they can be read and overwritten."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import BundleError
from .external_data import check_onnx_file
from .protobuf import fields, mapped, spans, varint

# The field numbers of onnx.proto.
_GRAPH, _INITIALIZER, _DIMENSIONS, _TYPE, _NAME, _CONTENTS, _EXTERNAL = 7, 5, 1, 2, 8, 9, 13
_KEY, _VALUE = 1, 2


class Weight(NamedTuple):
    """An initializer whose numbers are bytes of a file.

    Attributes:
        element: its type, by its number in onnx.proto.
        path: the file: the graph itself, or one beside it.
        start: the position of its first byte.
        size: its bytes.
    """

    name: str
    shape: tuple[int, ...]
    element: int
    path: Path
    start: int
    size: int


def weights_of(graph: Path, root: Path) -> list[Weight]:
    """The weights of a graph of the bundle ``root``. BundleError for a file that is no graph, or is cut short."""
    check_onnx_file(graph, root)
    with mapped(graph) as view, contextlib.suppress(IndexError, EOFError, UnicodeDecodeError, ValueError, KeyError):
        return list(_weights(view, graph))
    raise BundleError(f"{graph} is not an ONNX graph, or is cut short: export or copy it again")


def _weights(view: memoryview, path: Path) -> Iterator[Weight]:
    for number, begin, end in spans(view):
        if number == _GRAPH:
            for field, start, stop in spans(view[begin:end]):
                if field == _INITIALIZER:
                    yield from _weight(view[begin + start : begin + stop], begin + start, path)


def _weight(tensor: memoryview, position: int, path: Path) -> Iterator[Weight]:
    """The weight at ``position`` of the file; none for a tensor that has its numbers elsewhere, as constants do."""
    shape: list[int] = []
    name, element, external, place = "", 0, dict[str, str](), (0, 0)
    for number, start, end in spans(tensor):
        value = tensor[start:end]
        if number == _DIMENSIONS:
            shape += _numbers(value)
        elif number == _TYPE:
            element = varint(value)[0]
        elif number == _NAME:
            name = bytes(value).decode()
        elif number == _CONTENTS:
            place = position + start, end - start
        elif number == _EXTERNAL:
            pair = {key: bytes(part).decode() for key, part in fields(value)}
            external[pair.get(_KEY, "")] = pair.get(_VALUE, "")
    if external:
        path = path.parent / external["location"]
        place = int(external.get("offset", 0)), int(external.get("length", 0))
    if place[1]:
        yield Weight(name, tuple(shape), element, path, *place)


def _numbers(value: memoryview) -> Iterator[int]:
    """The numbers of a repeated field, packed or not."""
    position = 0
    while position < len(value):
        number, position = varint(value, position)
        yield number
