"""Saves images to files and folders. Each file is written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..arrays import Pixels
from ..config.json_file import parse_json
from ..errors import ConfigError, OutputError, shortened
from ..files import open_regular, output_errors, write_file, write_new_file
from .encode import grid, npy_bytes
from .formats import SUFFIXES, image_bytes, is_whole

RUN_FILE = "run.json"
_MACHINE = "machine"
_MOST_MACHINE_BYTES = 8192


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` names a folder: it is one, ends with a slash, or has no suffix."""
    text = os.fspath(path)
    return os.path.isdir(text) or text.endswith(("/", os.sep)) or not Path(text).suffix


def file_bytes(path: Path, images: Pixels, recipe: Mapping[str, Any], png_level: int | None = None) -> bytes:
    """The contents of the file ``path`` for images, uint8 (N, H, W, C): the array for .npy, else a grid."""
    check_suffix(path)
    if path.suffix == ".npy":
        return npy_bytes(images)
    return image_bytes(grid(images), path.suffix, recipe, png_level)


def check_suffix(path: Path) -> None:
    """ConfigError for a file whose format is not among those that are written."""
    if path.suffix not in SUFFIXES:
        *others, last = SUFFIXES
        raise ConfigError(f"cannot write {path}: the file must end in {', '.join(others)} or {last}, a folder in /")


def check_can_write(path: Path) -> None:
    """OutputError if the file ``path`` cannot be written; checked before a long run, not after it."""
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}: the folder {folder} does not exist. Create it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: the folder {folder} is not writable")


def create_folder(folder: Path) -> None:
    """Create a folder for images, if it is not there. OutputError if that fails, or no file can be written there."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    check_can_write(folder / RUN_FILE)


class ImageFolder:
    """A folder with one file per image, named by its index, and the recipe of the whole run in ``run.json``.

    An interrupted run continues here: ``holds`` says which images are done. OutputError where the folder cannot be
    written, has the images of a run with another recipe, or was begun on another kind of machine than ``machine``, the
    facts of this one; None does not look at the machine. ``png_level`` as in ``image_bytes``.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Mapping[str, Any],
        suffix: str = ".png",
        machine: Mapping[str, str] | None = None,
        png_level: int | None = None,
    ) -> None:
        self.folder, self.recipe, self.suffix, self.png_level = folder, recipe, suffix, png_level
        create_folder(folder)
        self._claim(machine)

    def _claim(self, machine: Mapping[str, str] | None) -> None:
        level = {} if self.png_level is None else {"png_level": self.png_level}
        wanted = {**self.recipe, "format": self.suffix, **level}
        entry = {} if machine is None else {_MACHINE: machine}
        try:
            write_new_file([self.folder / RUN_FILE], _run_text({**wanted, **entry}))
        except FileExistsError:
            self._check(_run_text(wanted), machine)

    def _check(self, wanted: bytes, machine: Mapping[str, str] | None) -> None:
        """Raise OutputError where the folder's run is another one, or of another kind of machine."""
        contents = _read(self.folder / RUN_FILE, len(wanted) + _MOST_MACHINE_BYTES)
        found, text = _without_machine(contents)
        if text != wanted:
            raise OutputError(
                f"{self.folder} holds the images of another run ({RUN_FILE} says which): give another folder, "
                "or delete it"
            ) from None
        others = differences(machine or {}, found)
        if others:
            raise OutputError(
                f"{self.folder} was begun on another kind of machine, whose images may differ slightly: {others}. "
                "Use a machine of that kind, or give --mixed-machines"
            ) from None

    def path(self, index: int) -> Path:
        """The file of an image."""
        return self.folder / f"{index:06d}{self.suffix}"

    def holds(self, index: int) -> bool:
        """Whether an image is there: the file is whole, and a picture with a recipe has that of this image."""
        return is_whole(self.path(index), self._recipe_of(index))

    def add(self, index: int, image: Pixels) -> None:
        """Write one image, uint8 (H, W, C). A picture has the run's recipe and its own index inside."""
        write_file(self.path(index), image_bytes(image, self.suffix, self._recipe_of(index), self.png_level))

    def _recipe_of(self, index: int) -> Mapping[str, Any]:
        return {**self.recipe, "index": index}


def differences(machine: Mapping[str, str], other: Mapping[str, Any]) -> str:
    """In which facts a machine differs from an ``other`` one, as text; facts that one of the two lacks are left out."""
    pairs = ((name, machine[name], str(other[name])) for name in machine if name in other)
    return ", ".join(
        f"{name} {_words_beyond(ours, theirs)} here, {_words_beyond(theirs, ours)} there"
        for name, ours, theirs in pairs
        if ours != theirs
    )


def _words_beyond(text: str, other: str) -> str:
    """The words of ``text`` that ``other`` lacks."""
    return shortened(" ".join(word for word in text.split() if word not in other.split())) or "nothing more"


def _run_text(entries: Mapping[str, Any]) -> bytes:
    return json.dumps(entries, indent=1).encode()


def _without_machine(contents: bytes) -> tuple[Mapping[str, Any], bytes]:
    """The machine in a run file, empty where it has none, and the file's contents without it."""
    try:
        entries = dict(parse_json(contents, RUN_FILE))
    except ConfigError:
        return {}, contents
    machine = entries.pop(_MACHINE, {})
    return (machine, _run_text(entries)) if isinstance(machine, dict) else ({}, contents)


def _read(path: Path, size: int) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from None
