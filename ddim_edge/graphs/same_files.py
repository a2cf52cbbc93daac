"""Notices that a file of a model was replaced or overwritten while the model is open."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from ..errors import BundleError


class _State(NamedTuple):
    inode: int
    size: int
    modified: int


class SameFiles:
    """The files of an open model, each with its state at its first use: inode, size, time of modification.

    Some networks are opened later than others, and the model's hash is read at another time: all must be of one model.
    """

    def __init__(self) -> None:
        self._states: dict[Path, _State] = {}

    def use(self, paths: Iterable[Path]) -> None:
        """Call this before files are opened, and after they were read. BundleError for one that has changed since."""
        for path in paths:
            if self._states.setdefault(path, state := _state_of(path)) != state:
                raise BundleError(f"{path} was replaced after the model was opened: open the model again")

    def check_not_overwritten(self, paths: Iterable[Path] | None = None) -> None:
        """BundleError where one of ``paths``, or of all files, has other contents than at its first use.

        ONNX Runtime reads weights from the mapped file while it runs. Another file under the same name does no harm.
        """
        for path in tuple(self._states) if paths is None else paths:
            try:
                state = _state_of(path)
            except BundleError:  # it was removed, and is still open
                continue
            if state.inode == self._states[path].inode and state != self._states[path]:
                raise BundleError(f"{path} was overwritten while the model was open: open the model again")


@dataclass
class GraphFiles:
    """The files that one open graph was read from, of all those of its model."""

    model: SameFiles
    paths: tuple[Path, ...] = ()
    _checked_at: float = field(default=-math.inf, init=False)

    def use(self) -> None:
        """As ``SameFiles.use``."""
        self.model.use(self.paths)

    def check_not_overwritten(self, every_s: float = 0.0) -> None:
        """As ``SameFiles.check_not_overwritten``, but at most once in ``every_s`` seconds: it takes 50 µs."""
        now = time.monotonic()
        if not every_s or now - self._checked_at >= every_s:
            self.model.check_not_overwritten(self.paths)
            self._checked_at = now

    def joined_by(self, paths: Iterable[Path]) -> Self:
        """These files and ``paths``, which are used from now on."""
        joined = type(self)(self.model, (*self.paths, *paths))
        joined.use()
        return joined


def _state_of(path: Path) -> _State:
    try:
        found = path.stat()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None
    return _State(found.st_ino, found.st_size, found.st_mtime_ns)
