"""Checks that the files of a compiled graph are those that were built.

The record has the size and the hash of every file. To read all of them takes seconds for a large network, so
``graphs/file_hashes.py`` keeps the hashes of what was read.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ...graphs.file_hashes import known_sha256, verified_sha256


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
    return Contents(sizes, {name: verified_sha256(folder / name) for name in names})


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

    Files whose hash is known are not read, unless ``reads_all``.
    """
    fault = incomplete(folder, contents)
    if fault is not None:
        return fault
    sha256 = verified_sha256 if reads_all else known_sha256
    try:
        for name, wanted in contents.hashes.items():
            if sha256(folder / name) != wanted:
                return f"{name} is not the file that was built"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    return None
