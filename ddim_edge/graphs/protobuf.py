"""Reads the fields of a protobuf message from a memory-mapped file."""

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

from ..errors import BundleError
from ..files import open_regular

_FIXED_SIZES = {1: 8, 5: 4}


_VARINT, _BYTES = 0, 2


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """Map a file into memory. Raises BundleError where it is missing, empty or unreadable."""
    try:
        with (
            open_regular(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents,
            memoryview(contents) as view,
        ):
            yield view
    except FileNotFoundError:
        raise BundleError(f"{path} is not there") from None
    except ValueError:
        raise BundleError(f"{path} is empty, not an ONNX graph: export or copy it again") from None
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None


def fields(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message: number and raw contents. Raises EOFError where the message is truncated."""
    return ((number, view[start:end]) for number, start, end in spans(view))


def spans(view: memoryview) -> Iterator[tuple[int, int, int]]:
    """The fields of a message: number, and where the raw contents begin and end. Raises as ``fields``."""
    position = 0
    while position < len(view):
        tag, position = varint(view, position)
        kind = tag & 7
        start = position
        if kind == _VARINT:
            _, position = varint(view, position)
        elif kind == _BYTES:
            length, start = varint(view, position)
            position = start + length
        elif kind in _FIXED_SIZES:
            position += _FIXED_SIZES[kind]
        else:
            raise EOFError("not a protobuf message")
        if position > len(view):
            raise EOFError("cut short")
        yield tag >> 3, start, position


def varint(view: memoryview, position: int = 0) -> tuple[int, int]:
    """The variable-length number at ``position``, and the position after it."""
    value = shift = 0
    while True:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
