"""SHA-256 hashes of files that are read once on this machine, and not at every start.

A hash is kept in the user's cache with the state that the file had when it was read: size, times of modification and of
change, inode. It is used as long as the state is the same. What a bundle says about its own files is not used: anyone
can write it.
"""

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, OutputError
from ..files import open_regular, write_file
from ..user_cache import cache_folder
from .file_state import FileState

SMALL = 1 << 20
"""Bytes. To read a smaller file takes about a millisecond: its hash is not kept."""
_SHA256 = re.compile("[0-9a-f]{64}")
_LONGEST_NOTE = 1000


_read: dict[FileState, str] = {}
"""The hashes of the files that this process has read, or whose notes it has read."""
_reading = threading.Lock()


def known_sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal. It is read only if this machine does not know its hash. Raises OSError."""
    found = _recall(path)
    if found is not None:
        return found
    with _reading:  # two threads that want the same file: one reads it
        return _recall(path) or verified_sha256(path)


def is_known(path: Path) -> bool:
    """Whether ``known_sha256`` takes no time: the hash is known, or the file is small. Raises OSError."""
    return path.stat().st_size < SMALL or _recall(path) is not None


def known_sha256_of_all(paths: Iterable[Path]) -> str:
    """The SHA-256 of the SHA-256 digests of several files in their order, as hexadecimal; as ``known_sha256``."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(known_sha256(path)))
    return digest.hexdigest()


def verified_sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal. It is read even if its hash is known, and remembered. Raises OSError."""
    sha256 = read_sha256(path)
    remember(path)
    return sha256


def read_sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal; the file is read, and this process alone keeps its hash. Raises OSError.

    For a file that will be moved: ``remember`` it then.
    """
    began = time.time_ns()
    with open_regular(path) as file:
        before = FileState.of(os.fstat(file.fileno()))
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = FileState.of(os.fstat(file.fileno()))
    _read.pop(before, None)
    if before == after and before.size >= SMALL and before.is_settled(began):
        _read[before] = digest
    return digest


def remember(path: Path) -> None:
    """Note the hash of a file in the user's cache, if this process has read the file in its present state.

    A cache that cannot be written is no fault: the file is read again by the next process.
    """
    with contextlib.suppress(OSError, OutputError, ConfigError):
        state = FileState.of(path.stat())
        if state in _read:
            note = _note(path)
            note.parent.mkdir(parents=True, exist_ok=True)
            write_file(note, json.dumps({**_facts(state), "sha256": _read[state]}).encode())


def _recall(path: Path) -> str | None:
    """The hash of a file in its present state, from this process or from the cache; None where neither has it."""
    state = FileState.of(path.stat())
    if state.size >= SMALL and state not in _read:
        noted = _noted(path)
        sha256 = str(noted.get("sha256"))
        if _SHA256.fullmatch(sha256) and noted == {**_facts(state), "sha256": sha256}:
            _read[state] = sha256
    return _read.get(state)


def _noted(path: Path) -> Mapping[str, Any]:
    """The note of a file; empty where there is none that can be read."""
    try:
        with open_regular(_note(path)) as file:
            noted = json.loads(file.read(_LONGEST_NOTE))
    except (OSError, ValueError, ConfigError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _facts(state: FileState) -> dict[str, int]:
    """A state as a note has it. The device's number may be another one after the machine was started again."""
    facts = state._asdict()
    del facts["device"]
    return facts


def _note(path: Path) -> Path:
    """The file in the user's cache for the hash of one file, which no bundle can bring along."""
    return cache_folder("hashes") / hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
