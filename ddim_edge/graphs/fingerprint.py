"""Fingerprints of a graph with its weights: a full hash, and two fast checks that it has not changed."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import BundleError
from ..files import open_regular
from .external_data import check_onnx_file
from .file_hashes import known_sha256_of_all

_BLOCKS, _BLOCK = 32, 4096

Stamps = Mapping[str, tuple[int, int, int]]
"""By file name, the graph first: size in bytes, and the times of modification and of change in nanoseconds."""


def graph_files(graph: Path) -> list[Path]:
    """The graph and its weights' files. Raises BundleError where one is missing, truncated or outside the bundle."""
    return [graph, *sorted(check_onnx_file(graph, graph.parent.parent))]


def graph_sha256(graph: Path) -> str:
    """The SHA-256 of the contents of a graph and its weights, as hexadecimal; paths and times do not matter."""
    return known_sha256_of_all(graph_files(graph))


def graph_sketch(graph: Path) -> str:
    """The SHA-256 of a few blocks of every file: fast, and different after another training of the same network."""
    digest = hashlib.sha256()
    for path in graph_files(graph):
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            for position in range(0, size, size // _BLOCKS + 1):
                file.seek(position)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def graph_stamps(graph: Path) -> Stamps:
    """Sizes and times of the files. Equal stamps mean equal contents: a program cannot set the time of change."""
    try:
        states = {os.path.relpath(path, graph.parent): path.stat() for path in graph_files(graph)}
    except OSError as error:
        raise BundleError(f"cannot read {graph}: {error.strerror}") from None
    return {name: (state.st_size, state.st_mtime_ns, state.st_ctime_ns) for name, state in states.items()}
