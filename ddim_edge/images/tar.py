"""Tar files that depend on nothing but their members: the same bytes whenever and by whomever they are made."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from ..files import open_regular

_MODE = 0o444
_END = bytes(2 * tarfile.BLOCKSIZE)


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The contents of a tar file (POSIX ustar) of members, names and contents, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, contents in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(contents), _MODE
            archive.addfile(member, io.BytesIO(contents))
    return buffer.getvalue()


def is_whole_tar(path: Path) -> bool:
    """Whether a tar file is there and not cut off: it ends, at a record's border, with the mark of its end."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - len(_END)))
            return size > 0 and size % tarfile.RECORDSIZE == 0 and file.read() == _END
    except OSError:
        return False
