"""Safetensors files: reads and writes them without the package.

Eight bytes with the length of the header, the header, which is JSON, and the numbers
(https://huggingface.co/docs/safetensors). Nothing in such a file can run code.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from ..config import parse_json
from ..config.schema import list_of, mapping_of, object_with, text, whole
from ..errors import ConfigError, shown
from ..files import atomic_write, open_regular
from .number_types import BFLOAT16, FLOAT, FLOAT16, item_size, to_float32

_METADATA = "__metadata__"
_LONGEST_HEADER = 100_000_000
_ELEMENTS = {"F32": FLOAT, "F16": FLOAT16, "BF16": BFLOAT16}
_KINDS = {"float32": "F32", "float16": "F16"}
_ENTRY = object_with(
    {"dtype": text(20), "shape": list_of(whole(0, 2**40), 8), "data_offsets": list_of(whole(0, 2**60), 2)}
)


@dataclass(frozen=True)
class Tensor:
    """Where a tensor is in its file."""

    kind: str
    shape: tuple[int, ...]
    start: int
    """The position of its first byte in the file."""
    size: int
    """Its bytes."""


@dataclass(frozen=True)
class SafetensorsFile:
    """An open file's header: its tensors by name, and its metadata, which are texts by name."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    def read(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32. ConfigError for whole numbers and other types, and for a file that became shorter."""
        tensor = self.tensors[name]
        if tensor.kind not in _ELEMENTS:
            raise ConfigError(f"{self.path}: {shown(name)} is {shown(tensor.kind)}, not one of {', '.join(_ELEMENTS)}")
        with open_regular(self.path) as file:
            file.seek(tensor.start)
            contents = file.read(tensor.size)
        if len(contents) != tensor.size:
            raise ConfigError(f"{self.path} is cut short: copy it again")
        return to_float32(contents, _ELEMENTS[tensor.kind]).reshape(tensor.shape)

    def mapped(self, name: str) -> Array:
        """A tensor of float32 or float16 in its own type, mapped from the file: read-only."""
        tensor = self.tensors[name]
        kind: np.dtype[Any] = np.dtype({"F32": "<f4", "F16": "<f2"}[tensor.kind])
        if not tensor.size:
            return np.empty(tensor.shape, kind)
        return np.memmap(self.path, kind, "r", tensor.start, tensor.shape)


def open_safetensors(path: Path, what: str = "") -> SafetensorsFile:
    """Read the header of a file. ConfigError for one that is not in this format, or cut short; ``what`` is in it."""
    try:
        with open_regular(path) as file:
            length = _length(file.read(8))
            header = file.read(length)
            size = file.seek(0, 2)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read {what}{path}: {getattr(error, 'strerror', None) or error}; give a file in safetensors"
        ) from None
    if len(header) != length:
        raise ConfigError(f"{path} is cut short: copy it again")
    contents = parse_json(header, str(path))
    metadata = contents.get(_METADATA) or {}
    mapping_of(text(2**24), 10_000)(f"{path}: {_METADATA}", metadata)
    entries = {name: entry for name, entry in contents.items() if name != _METADATA}
    return SafetensorsFile(
        path, {name: _tensor(path, name, entry, 8 + length, size) for name, entry in entries.items()}, metadata
    )


def write_safetensors(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write float32 and float16 arrays, whole or not at all. Raises OutputError where it cannot be written."""
    entries, position = {}, 0
    for name, array in arrays.items():
        end = position + array.nbytes
        entries[name] = {"dtype": _KINDS[array.dtype.name], "shape": array.shape, "data_offsets": [position, end]}
        position = end
    header = json.dumps({_METADATA: dict(metadata), **entries}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # so that the numbers are aligned
    with atomic_write(path) as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def _length(start: bytes) -> int:
    length: int = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= _LONGEST_HEADER:
        raise ValueError("it is not a file in safetensors")
    return length


def _tensor(path: Path, name: str, entry: Any, first: int, size: int) -> Tensor:
    _ENTRY(f"{path}: {shown(name)}", entry)
    kind, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if None in (kind, shape, offsets) or len(offsets) != 2 or not _fits(kind, shape, offsets[1] - offsets[0]):
        raise ConfigError(f"{path}: the entry of {shown(name)} is broken: copy the file again")
    if first + offsets[1] > size:
        raise ConfigError(f"{path} is cut short: copy it again")
    return Tensor(kind, tuple(shape), first + offsets[0], offsets[1] - offsets[0])


def _fits(kind: str, shape: Sequence[int], size: int) -> bool:
    return size == math.prod(shape) * item_size(_ELEMENTS[kind]) if kind in _ELEMENTS else size >= 0
