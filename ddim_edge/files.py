"""Files: written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import OutputError


def write_file(path: Path, contents: bytes) -> Path:
    """Write ``contents`` under a temporary name, then rename; OutputError, and nothing left, where that fails."""
    temporary = path.with_name(f".{path.name}.part")
    with _named_errors(path):
        try:
            temporary.write_bytes(contents)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
