"""Saves images to files and folders. Each file is written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..arrays import Pixels
from ..errors import ConfigError, OutputError
from ..files import open_regular, output_errors, write_file, write_new_file
from .encode import grid, npy_bytes, png_bytes
from .whole import is_whole_npy, is_whole_png

SUFFIXES = (".png", ".npy")
RUN_FILE = "run.json"


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` names a folder: it is one, ends with a slash, or has no suffix."""
    text = os.fspath(path)
    return os.path.isdir(text) or text.endswith(("/", os.sep)) or not Path(text).suffix


def file_bytes(path: Path, images: Pixels, recipe: Mapping[str, Any]) -> bytes:
    """The contents of the file ``path`` for images, uint8 (N, H, W, C): a grid for .png, the array for .npy."""
    check_suffix(path)
    return png_bytes(grid(images), recipe) if path.suffix == ".png" else npy_bytes(images)


def check_suffix(path: Path) -> None:
    """ConfigError for a file that is neither .png nor .npy."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"cannot write {path}: the file must end in {' or '.join(SUFFIXES)}, a folder in /")


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
    written, or has the images of a run with another recipe.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any], suffix: str = ".png") -> None:
        self.folder, self.recipe, self.suffix = folder, recipe, suffix
        create_folder(folder)
        self._claim()

    def _claim(self) -> None:
        wanted = json.dumps({**self.recipe, "format": self.suffix}, indent=1).encode()
        run_file = self.folder / RUN_FILE
        try:
            write_new_file([run_file], wanted)
        except FileExistsError:
            if _read(run_file, len(wanted) + 1) != wanted:
                raise OutputError(
                    f"{self.folder} holds the images of another run ({RUN_FILE} says which): give another folder, "
                    "or delete it"
                ) from None

    def path(self, index: int) -> Path:
        """The file of an image."""
        return self.folder / f"{index:06d}{self.suffix}"

    def holds(self, index: int) -> bool:
        """Whether an image is there: the file is whole, and a PNG with a recipe has that of this image."""
        path = self.path(index)
        return is_whole_png(path, self._recipe_of(index)) if self._is_png else is_whole_npy(path)

    def add(self, index: int, image: Pixels) -> None:
        """Write one image, uint8 (H, W, C). A PNG has the run's recipe and its own index inside."""
        write_file(self.path(index), png_bytes(image, self._recipe_of(index)) if self._is_png else npy_bytes(image))

    @property
    def _is_png(self) -> bool:
        return self.suffix == ".png"

    def _recipe_of(self, index: int) -> Mapping[str, Any]:
        return {**self.recipe, "index": index}


def _read(path: Path, size: int) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from None
