"""Saves images to files and folders. Each file is written whole or not at all."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..arrays import Array, Pixels, Sample
from ..config.json_file import parse_json
from ..errors import ConfigError, OutputError, shortened
from ..files import write_file
from .encode import enlarged, grid
from .formats import ARRAY_SUFFIXES, SUFFIXES, image_bytes, images_of
from .remote import is_url
from .storage import Storage, check_can_write, storage_of, without_file_scheme

RUN_FILE = "run.json"
_MACHINE = "machine"
_MOST_MACHINE_BYTES = 8192


class OtherRunError(OutputError):
    """A folder has the images of another run."""


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` names a folder: it is one, ends with a slash, or has no suffix."""
    text = os.fspath(path)
    return os.path.isdir(text) or text.endswith(("/", os.sep)) or not Path(text).suffix


def file_bytes(
    path: Path, contents: Array, recipe: Mapping[str, Any], png_level: int | None = None, enlarge: int = 1
) -> bytes:
    """The contents of the file ``path``: for .npy and .npz an array, else a grid of images, uint8 (N, H, W, C).

    ``enlarge``: how often each pixel of a picture is repeated.
    """
    check_suffix(path)
    whole = contents if path.suffix in ARRAY_SUFFIXES else grid(enlarged(contents, enlarge))
    return image_bytes(whole, path.suffix, recipe, png_level)


def save_file(
    path: str | os.PathLike[str], images: Pixels | None, samples: Sample | None, recipe: Mapping[str, Any]
) -> Path | str:
    """Write images, uint8 (N, H, W, C), or for .npy and .npz samples, float32 (N, …), to the file of a path or URL.

    ``images``: None for a model that makes arrays. ``samples``: None to write the images also to .npy and .npz.
    Returns the path, or the URL as text. Raises OutputError if it cannot be written, ConfigError for another suffix,
    for images where there are none, and for a URL that cannot be used.
    """
    target = local_or_url(path)
    file = target if isinstance(target, Path) else Path(target.rpartition("/")[2])
    check_suffix(file)
    wanted = samples if samples is not None and file.suffix in ARRAY_SUFFIXES else images_of(images)
    if isinstance(target, Path):
        check_can_write(target)
        return write_file(target, file_bytes(target, wanted, recipe))
    storage_of(f"{target.rpartition('/')[0]}/").write(file.name, file_bytes(file, wanted, recipe))
    return target


def local_or_url(path: str | os.PathLike[str]) -> Path | str:
    """A path; text for a URL of a store."""
    target = without_file_scheme(os.fspath(path))
    return target if is_url(target) else Path(target)


def check_suffix(path: Path, more: Sequence[str] = ()) -> None:
    """ConfigError for a file whose format is not among those that are written, nor in ``more``."""
    if path.suffix not in SUFFIXES:
        *others, last = *more, *SUFFIXES
        raise ConfigError(f"cannot write {path}: the file must end in {', '.join(others)} or {last}, a folder in /")


class ImageFolder:
    """A folder with one file per image, named by its index, and the recipe of the whole run in ``run.json``.

    An interrupted run continues here: ``holds`` says which images are done. OutputError where the folder cannot be
    written, has the images of a run with another recipe, or was begun on another kind of machine than ``machine``, the
    facts of this one; None does not look at the machine. ``png_level`` as in ``image_bytes``.
    ``own_recipe`` returns the recipe of an image by its index, where each has its own; None for that of the run.
    """

    def __init__(
        self,
        folder: Path | Storage,
        recipe: Mapping[str, Any],
        suffix: str = ".png",
        machine: Mapping[str, str] | None = None,
        png_level: int | None = None,
        own_recipe: Callable[[int], Mapping[str, Any]] | None = None,
    ) -> None:
        self.storage = storage_of(folder) if isinstance(folder, Path) else folder
        self.recipe, self.suffix, self.png_level = recipe, suffix, png_level
        self._own_recipe = own_recipe
        self.storage.create()
        self._claim(machine)

    def _claim(self, machine: Mapping[str, str] | None) -> None:
        wanted = {**self.recipe, **self._facts()}
        entry = {} if machine is None else {_MACHINE: machine}
        try:
            self.storage.write_new(RUN_FILE, _run_text({**wanted, **entry}))
        except FileExistsError:
            self._check(_run_text(wanted), machine)

    def _facts(self) -> Mapping[str, Any]:
        """What the run file has beyond the recipe."""
        return {"format": self.suffix, **({} if self.png_level is None else {"png_level": self.png_level})}

    def _check(self, wanted: bytes, machine: Mapping[str, str] | None) -> None:
        """Raise OutputError where the folder's run is another one, or of another kind of machine."""
        contents = self.storage.read(RUN_FILE, len(wanted) + _MOST_MACHINE_BYTES) or b""
        found, text = _without_machine(contents)
        if text != wanted:
            raise OtherRunError(
                f"{self.storage} holds the images of another run ({RUN_FILE} says which): give another folder, "
                "or --force to replace them"
            ) from None
        others = differences(machine or {}, found)
        if others:
            raise OutputError(
                f"{self.storage} was begun on another kind of machine, whose images may differ slightly: {others}. "
                "Use a machine of that kind, or give --mixed-machines"
            ) from None

    def name(self, index: int) -> str:
        """The name of an image's file."""
        return f"{index:06d}{self.suffix}"

    def holds(self, index: int) -> bool:
        """Whether an image is there: the file is whole, and a picture with a recipe has that of this image."""
        return self.storage.holds(self.name(index), self._recipe_of(index))

    def add(self, index: int, image: Array) -> None:
        """Write one image, uint8 (H, W, C), or sample. The file has the run's recipe and its own index inside."""
        self.storage.write(self.name(index), self._contents(index, image))

    def _contents(self, index: int, image: Array) -> bytes:
        return image_bytes(image, self.suffix, self._recipe_of(index), self.png_level)

    def _recipe_of(self, index: int) -> Mapping[str, Any]:
        return {**self.recipe, "index": index} if self._own_recipe is None else self._own_recipe(index)


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
