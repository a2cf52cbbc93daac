"""Writes a folder whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ConfigError, OutputError
from .files import flush_files, output_errors


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``out`` at the end of the block, and is removed if the block fails.

    Its files are on the disk (fsync) before it becomes ``out``. It lies beside ``out``, so one rename is enough, and
    has a name that cannot be predicted. ConfigError where ``out`` exists and is not an empty folder; OutputError where
    nothing can be written there.
    """
    check_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        outer = tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise OutputError(f"cannot write beside {out}: {error.strerror}; choose another place") from None
    with outer:
        # A subfolder, because only its owner can read the temporary folder itself.
        folder = Path(outer.name) / out.name
        folder.mkdir()
        yield folder
        _sync(folder, out)
        _rename(folder, out)


def check_free(out: Path) -> None:
    """ConfigError where ``out`` exists and is not an empty folder."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is there already and is not a folder: choose another place")
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out} is there already and is not empty: remove it or choose another place")


def _sync(folder: Path, out: Path) -> None:
    with output_errors(out):
        flush_files(folder)


def _rename(folder: Path, out: Path) -> None:
    try:
        if out.exists():
            out.rmdir()
        folder.rename(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose another place") from None
