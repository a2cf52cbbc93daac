"""Files that a folder has before a run writes to it: those of another run are replaced on purpose only."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

from ..config.json_file import parse_json
from ..errors import ConfigError, OutputError
from .save import RUN_FILE, OtherRunError
from .storage import Storage

_NAME = re.compile(r"([0-9]{6,})(-call-[0-9]{4,})?(\.[a-z]+)")
_MOST_BYTES = 2**24
"""Of a run file that is read."""


class RunFiles(NamedTuple):
    """The files of a run in a folder, besides its run file."""

    num_images: int
    suffix: str
    images_per_tar: int | None = None
    """None for a file an image."""

    @classmethod
    def of(cls, entries: Mapping[str, Any]) -> Self:
        """Those of the run whose run file has these entries. KeyError where it has too few."""
        return cls(int(entries["num_images"]), str(entries["format"]), entries.get("images_per_tar"))

    def among(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that are names of its images, tar files, or estimates."""
        return sorted(name for name in names if self._has(name))

    def _has(self, name: str) -> bool:
        match = _NAME.fullmatch(name)
        if match is None:
            return False
        number, estimate, suffix = match.groups()
        if estimate:
            return suffix == ".png" and int(number) < self.num_images
        if self.images_per_tar:
            return suffix == ".tar" and int(number) * self.images_per_tar < self.num_images
        return suffix == self.suffix and int(number) < self.num_images


def make_room(folder: Storage, files: RunFiles, check: Callable[[], object], *, force: bool) -> None:
    """Check that a run can write its ``files`` to a folder without replacing any but its own.

    ``check`` raises OtherRunError where the run file is another run's. With ``force`` the files of the other run are
    removed, and so are those that this run would replace; what else the folder has stays. OutputError without it.
    """
    if folder.read(RUN_FILE, 1) is None:
        _clear(folder, files, force=force)
        return
    try:
        check()
    except OtherRunError:
        if not force:
            raise
        _remove_run(folder)


def _clear(folder: Storage, files: RunFiles, *, force: bool) -> None:
    """Handle files in the way in a folder without a run file."""
    there = files.among(folder.names())
    if not there or folder.read(RUN_FILE, 1) is not None:  # another process of this run may just have begun
        return
    if not force:
        raise OutputError(
            f"{folder} has {there[0]} already, and no {RUN_FILE} of a run to go on with: give --force to replace it, "
            "or another folder"
        )
    for name in there:
        folder.remove(name)


def _remove_run(folder: Storage) -> None:
    """Remove what a run wrote to a folder: its run file last, so that what is left after an error is still its own."""
    try:
        files = RunFiles.of(parse_json(folder.read(RUN_FILE, _MOST_BYTES) or b"", RUN_FILE))
    except (ConfigError, KeyError, TypeError, ValueError):
        raise OutputError(f"{folder} has a {RUN_FILE} that does not say which files are its run's: delete it") from None
    for name in (*files.among(folder.names()), RUN_FILE):
        folder.remove(name)
