"""Atomic writing of files, and SHA-256 hashes of files."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import OutputError


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
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> str:
    """The SHA-256 of the SHA-256 digests of several files in their order, as hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()
