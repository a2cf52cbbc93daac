"""A case: files, and a command line that reads them."""

import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

INPUTS = "in"
"""The folder of a case's files."""
OUTPUTS = "out"
"""The current folder of its command: nothing may be written anywhere else."""
OUTSIDE = "outside.bin"
"""A file beside both, which no bundle may read."""


class Special(Enum):
    """What can lie in place of a file."""

    FIFO = "a pipe that nobody writes to"
    FOLDER = "a folder"
    ZERO = "a link to /dev/zero"
    OUTSIDE = "a link to the file outside"


File = bytes | Special


def special(generator: random.Random) -> Special:
    """One of the things that are no file."""
    return generator.choice(list(Special))


@dataclass(frozen=True)
class Case:
    """A command line, called in ``out``, and the files that lie in ``../in``.

    Attributes:
        arguments: the command line.
        files: contents by path, relative to ``in``; paths that start with ``out/`` lie in ``out``.
        must_fail: whether there is no right result, so that exit code 0 is a fault.
        right: what must lie in ``out`` where the command succeeds, by path.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, File] = field(default_factory=dict)
    must_fail: bool = False
    right: Mapping[str, bytes] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """Write the files into the new folder ``root``."""
        for folder in (INPUTS, OUTPUTS):
            (root / folder).mkdir(parents=True)
        (root / OUTSIDE).write_bytes(bytes(4096))
        for name, file in self.files.items():
            path = root / name if name.startswith(f"{OUTPUTS}/") else root / INPUTS / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _put(path, file, root)


def _put(path: Path, file: File, root: Path) -> None:
    match file:
        case Special.FIFO:
            os.mkfifo(path)
        case Special.FOLDER:
            path.mkdir()
        case Special.ZERO:
            path.symlink_to("/dev/zero")
        case Special.OUTSIDE:
            path.symlink_to(root / OUTSIDE)
        case bytes():
            path.write_bytes(file)


def as_json(value: object) -> bytes:
    """``value`` as Python's json writes it: NaN, infinities and lone surrogates included."""
    return json.dumps(value).encode()
