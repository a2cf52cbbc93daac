"""Checks that an ONNX file and its external weights are complete, without the package onnx.

An ONNX file is one protobuf message; the field numbers below are those of onnx.proto. The check comes first because
ONNX Runtime's own errors for a truncated or misplaced file are obscure, and because a graph of another author may name
any file of this machine as its weights.
"""

import contextlib
import functools
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ..errors import BundleError, shown
from .file_state import FileState
from .protobuf import fields, mapped

# message -> field number -> the message that the field holds; all other fields are skipped.
_CHILDREN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_GRAPH_FIELD, _OPSET_FIELD = 7, 8  # every model has both, in this order, so that a truncated file lacks one
_EXTERNAL_DATA_FIELD = 13
_LONGEST_NAME = 1000

Entry = dict[str, str]


def check_onnx_file(path: Path, root: Path) -> list[Path]:
    """Check the graph at ``path`` and return the files that hold its external weights.

    Raises BundleError for a file that is not an ONNX graph or is truncated, and for weights that are missing, truncated
    or outside the folder ``root``. Links are followed first, and may lead to the blobs of the Hugging Face cache that
    ``root`` is a snapshot in. Older versions of ONNX Runtime follow them anywhere.
    """
    ends: dict[Path, int] = {}
    for location, end in _weights_of(path):
        data = _resolve(location, path, root)
        ends[data] = max(end, ends.get(data, 0))
    for data, end in ends.items():
        _check_file(data, end, path, root)
    return list(ends)


def external_bytes(path: Path) -> int:
    """The bytes of a graph's weights that are in other files, which may have more. BundleError for no ONNX graph."""
    return sum(_position(entry, "length", path) for entry in _external_entries(path))


def _weights_of(path: Path) -> Sequence[tuple[str, int]]:
    """The locations of a graph's weights, and how many bytes each must have. A graph is read once while it is the same.

    A graph of a thousand nodes takes some tenths of a second, and several callers want it when a model is opened.
    """
    now = time.time_ns()
    with contextlib.suppress(OSError):  # which reading it explains
        state = FileState.of(path.stat())
        if state.is_settled(now):
            return _weights_in_state(path, state)
    return _read_weights(path)


@functools.lru_cache(maxsize=64)
def _weights_in_state(path: Path, _state: FileState) -> Sequence[tuple[str, int]]:
    return _read_weights(path)


def _read_weights(path: Path) -> Sequence[tuple[str, int]]:
    ends: dict[str, int] = {}
    for entry in _external_entries(path):
        location = entry.get("location", "")
        end = _position(entry, "offset", path) + _position(entry, "length", path)
        ends[location] = max(end, ends.get(location, 0))
    return tuple(ends.items())


def _position(entry: Entry, key: str, path: Path) -> int:
    text = entry.get(key, "0")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BundleError(f"{path} gives its weights the {key} {shown(text)}, no number of bytes: export it again")
    return int(text)


def _external_entries(path: Path) -> list[Entry]:
    with mapped(path) as view:
        return _read_model(view, path)


def _read_model(view: memoryview, path: Path) -> list[Entry]:
    try:
        numbers = {number for number, _ in fields(view)}
        entries = list(_walk(view, "model"))
    except (IndexError, EOFError, UnicodeDecodeError, RecursionError):
        numbers, entries = set(), []
    if not numbers >= {_GRAPH_FIELD, _OPSET_FIELD}:
        raise BundleError(f"{path} is not an ONNX graph, or is cut short: export or copy it again")
    return entries


def _walk(view: memoryview, message: str) -> Iterator[Entry]:
    """The external-data entries of all tensors below ``message``."""
    if message == "tensor":
        pairs = [_key_and_value(value) for number, value in fields(view) if number == _EXTERNAL_DATA_FIELD]
        if pairs:
            yield dict(pairs)
        return
    for number, value in fields(view):
        child = _CHILDREN[message].get(number)
        if child is not None:
            yield from _walk(value, child)


def _key_and_value(view: memoryview) -> tuple[str, str]:
    strings = {number: bytes(value).decode() for number, value in fields(view)}
    return strings.get(1, ""), strings.get(2, "")


def _resolve(location: str, graph: Path, root: Path) -> Path:
    """The path of ``location``, relative to the graph. Raises BundleError where that is not below ``root``."""
    if len(location) > _LONGEST_NAME or "\0" in location:
        raise BundleError(f"{graph} keeps weights in {shown(location)}, which is no file name: export it again")
    opened = graph.parent / PurePosixPath(location)
    data = Path(os.path.normpath(opened))
    # The system follows a link before a "..", and may end at another file.
    inside = data.is_relative_to(os.path.normpath(root)) and os.path.realpath(opened) == os.path.realpath(data)
    if not location or PurePosixPath(location).is_absolute() or not inside:
        raise BundleError(
            f"{graph} keeps weights in {shown(location)}, outside the bundle {root}: refused. "
            "Export it again, or move the file into the bundle"
        )
    return data


def _check_file(data: Path, end: int, graph: Path, root: Path) -> None:
    try:
        found, target = data.stat(), data.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links in a loop
        raise BundleError(f"{data} is missing: {graph.name} keeps its weights there. Copy it too") from None
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(f"{data} is not a regular file, and {graph.name} keeps its weights there: copy it again")
    if not (target.is_relative_to(root.resolve()) or target.parent == huggingface_blobs(root)):
        raise BundleError(
            f"{data} is a link to {target}, outside the bundle {root}: refused. Copy the file into the bundle"
        )
    if found.st_size < end:
        raise BundleError(
            f"{data} is cut short: it has {found.st_size:,} bytes where {graph.name} needs {end:,}. Copy it again"
        )


def huggingface_blobs(folder: Path) -> Path | None:
    """The folder that a snapshot in a Hugging Face cache links to; None where ``folder`` is not in a snapshot.

    The layout is ``models--OWNER--NAME/snapshots/REVISION/…`` with links to ``models--OWNER--NAME/blobs``.
    """
    real = folder.resolve()
    for parent in (real, *real.parents):
        repository = parent.parent.parent
        if parent.parent.name == "snapshots" and repository.name.startswith("models--"):
            return repository / "blobs"
    return None
