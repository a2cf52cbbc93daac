"""Checks that the files of a compiled graph are those that were built.

The record has the size and the hash of every file. To read all of them takes seconds for a large network. So the states
of files that were checked are kept in the user's cache, and files are read again only when their state has changed.
"""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ...errors import ConfigError, OutputError
from ...files import sha256_of, write_file
from .places import checked_folder

_State = tuple[int, int, int, int]


class Contents(NamedTuple):
    """What the files of a compiled graph must be, by name in its folder.

    Attributes:
        sizes: in bytes.
        hashes: SHA-256, as hexadecimal.
    """

    sizes: Mapping[str, int]
    hashes: Mapping[str, str]


def contents_of(folder: Path, without: tuple[str, ...]) -> Contents:
    """Read the files of ``folder``, but those whose names end in one of ``without``. Raises OSError."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.endswith(without))
    sizes = {name: (folder / name).stat().st_size for name in names}
    return Contents(sizes, {name: sha256_of(folder / name) for name in names})


def incomplete(folder: Path, contents: Contents) -> str | None:
    """Which file is missing or has another size, as text; None where none is. No file is read."""
    for name, size in contents.sizes.items():
        try:
            found = (folder / name).stat()
        except OSError:
            return f"{name} is missing"
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return f"{name} is not the file that was built"
    return None


def damaged(folder: Path, contents: Contents, *, reads_all: bool = False) -> str | None:
    """Which file is missing or has other contents, as text; None where none is.

    Files that have the state in which they were checked before are not read, unless ``reads_all``.
    """
    fault = incomplete(folder, contents)
    if fault is not None:
        return fault
    try:
        states = {name: _state(folder / name) for name in contents.sizes}
        if not reads_all and _was_checked(folder, states, contents):
            return None
        for name, wanted in contents.hashes.items():
            if sha256_of(folder / name) != wanted:
                return f"{name} is not the file that was built"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    _remember(folder, states, contents)
    return None


def _state(path: Path) -> _State:
    """Size, times of modification and of change, and inode. A program cannot set the time of change."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _was_checked(folder: Path, states: Mapping[str, _State], contents: Contents) -> bool:
    try:
        return _note(folder).read_text(encoding="utf-8") == _digest(states, contents)
    except (OSError, ValueError, ConfigError):
        return False


def _remember(folder: Path, states: Mapping[str, _State], contents: Contents) -> None:
    # A cache that cannot be written is no fault: the files are read again at the next opening.
    with contextlib.suppress(OSError, OutputError, ConfigError):
        note = _note(folder)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_file(note, _digest(states, contents).encode())


def _note(folder: Path) -> Path:
    """The file in the user's cache for one compiled graph, which no bundle can bring along."""
    place = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()
    return checked_folder() / f"{folder.name}-{place[:16]}"


def _digest(states: Mapping[str, _State], contents: Contents) -> str:
    return hashlib.sha256(json.dumps([states, contents], sort_keys=True).encode()).hexdigest()
