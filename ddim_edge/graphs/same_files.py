"""Notices that a file of a model was replaced while the model is open."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import BundleError

_State = tuple[int, int, int]


class SameFiles:
    """The files of an open model, each with its state at its first use: size, time of modification, inode.

    Some networks are opened later than others, and the model's hash is read at another time: all must be of one model.
    """

    def __init__(self) -> None:
        self._states: dict[Path, _State] = {}

    def use(self, paths: Iterable[Path]) -> None:
        """Call this before files are opened, and after they were read. BundleError for one that has changed since."""
        for path in paths:
            if self._states.setdefault(path, state := _state_of(path)) != state:
                raise BundleError(f"{path} was replaced after the model was opened: open the model again")


def _state_of(path: Path) -> _State:
    try:
        found = path.stat()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None
    return found.st_size, found.st_mtime_ns, found.st_ino
