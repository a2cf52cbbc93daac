"""Opening of regular files, and atomic writing of files."""

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError

_TEMPORARY = ".ddim-edge-"
"""How the names of temporary files begin."""


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file for reading. Raises OSError for anything else.

    A named pipe would block for ever, a device such as /dev/zero has no end, and a folder has no contents.
    """
    # O_NONBLOCK: opening a named pipe must not wait for its writer. It changes nothing for a regular file.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
    return open(descriptor, "rb")


def write_file(path: Path, contents: bytes) -> Path:
    """Write ``contents`` atomically (see ``atomic_write``). Returns ``path``."""
    with atomic_write(path) as file:
        file.write(contents)
    return path


def write_new_file(paths: Iterable[Path], contents: bytes) -> Path:
    """Write ``contents`` atomically to the first of ``paths`` that does not exist. Returns that path.

    Of several processes that try the same names, each gets its own. ``paths`` are in one folder. Raises FileExistsError
    if all of them exist, OutputError for another OSError.
    """
    names = iter(paths)
    first = next(names)
    with output_errors(first), _temporary_file(first.parent) as file:
        file.write(contents)
        _finish(file)
        path = next((path for path in itertools.chain([first], names) if _take_name(file.name, path)), None)
        _flush_folder(first.parent)
    if path is None:
        raise FileExistsError(first)
    return path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Atomic write: yields a new binary file, which replaces ``path`` at the end of the block.

    It is on the disk (fsync) before it is renamed. If anything fails, it is removed and ``path`` is unchanged. Several
    processes can write the same file. Raises OutputError for an OSError.
    """
    with output_errors(path), _temporary_file(path.parent) as file:
        yield file
        _finish(file)
        os.replace(file.name, path)
        _flush_folder(path.parent)


def flush_files(folder: Path) -> None:
    """Write all files below ``folder`` to the disk (fsync), so that it can be renamed. Raises OSError."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of ``atomic_write`` in ``folder`` that a killed process left there."""
    for path in folder.glob(f"{_TEMPORARY}*"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _temporary_file(folder: Path) -> Iterator[BinaryIO]:
    """A new file with a name that cannot be predicted; removed at the end of the block, if it was not renamed."""
    temporary = folder / f"{_TEMPORARY}{os.urandom(8).hex()}.part"
    try:
        with open(temporary, "xb") as file:  # x is O_CREAT | O_EXCL: fails where there is a file or a link
            yield file
    finally:
        temporary.unlink(missing_ok=True)


def _finish(file: BinaryIO) -> None:
    """Write a file to the disk and close it; Windows does not rename an open file."""
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _take_name(temporary: str, path: Path) -> bool:
    """Give a finished file the name ``path``; False where that exists already."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        return _take_name_without_links(temporary, path)
    return True


def _take_name_without_links(temporary: str, path: Path) -> bool:
    """As ``_take_name``, on a file system without hard links: an empty file holds the name until it is replaced."""
    try:
        open(path, "xb").close()
    except FileExistsError:
        return False
    try:
        os.replace(temporary, path)
    except BaseException:
        path.unlink()
        raise
    return True


def _flush_folder(folder: Path) -> None:
    """Write a folder's list of names to the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
