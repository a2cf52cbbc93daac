"""Opening of regular files, atomic writing of files, and SHA-256 hashes of files."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from .errors import OutputError


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
    with atomic_write(path) as temporary:
        temporary.write_bytes(contents)
    return path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Atomic write: yields a temporary path beside ``path``, which replaces ``path`` at the end of the block.

    The temporary name is unique, so several processes can write the same file. The contents are on the disk (fsync)
    before the rename. If anything fails, the temporary file is removed and ``path`` is unchanged. Raises OutputError
    for an OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    with output_errors(path):
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal. Raises OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> str:
    """The SHA-256 of the SHA-256 digests of several files in their order, as hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()
