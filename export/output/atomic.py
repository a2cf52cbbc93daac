"""A folder that is there whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddim_edge.errors import ConfigError, OutputError


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``out`` at the end of the block, and is removed if the block fails.

    It lies beside ``out``, so that becoming it is one rename. ConfigError where ``out`` is there and is not an empty
    folder; OutputError where nothing can be written there.
    """
    check_free(out)
    try:
        outer = tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise OutputError(f"cannot write beside {out}: {error.strerror}; choose another place") from None
    with outer:
        # Inside, because a temporary folder is closed to other users.
        folder = Path(outer.name) / out.name
        folder.mkdir()
        yield folder
        _become(folder, out)


def check_free(out: Path) -> None:
    """Refuse a place that is taken."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is there already and is no folder: choose another place")
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out} is there already and is not empty: remove it or choose another place")


def _become(folder: Path, out: Path) -> None:
    try:
        if out.exists():
            out.rmdir()
        folder.rename(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose another place") from None
