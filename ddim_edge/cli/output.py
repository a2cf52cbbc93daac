"""Output of ``ddim-edge run``: one file with all images, or a folder with one file per image."""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Pixels
from ..config import whole_number
from ..errors import OutputError
from ..files import output_errors, write_file, write_new_file
from ..generation.requests.request import Request
from ..generation.results import Progress
from ..images.archive import Archive, folder_of
from ..images.encode import enlarged, gif_bytes, grid, png_bytes
from ..images.save import RUN_FILE, ImageFolder, check_suffix, file_bytes
from ..images.storage import Storage, check_can_write, storage_of
from .beside import Beside
from .enlarging import factor_of
from .shards import ALL, Shard


def free_names(model: str, file_format: str) -> Iterator[Path]:
    """Those of model.png, model-2.png, … that do not exist in the current folder, nor as .gif.

    Without a format, the names of folders: model-images, model-images-2, …
    """
    stem = Path(model).resolve().name
    suffix = f".{file_format}" if file_format else ""
    stem = stem if file_format else f"{stem.replace('.', '-')}-images"
    for number in itertools.count(1):
        path = Path(f"{stem}-{number}{suffix}" if number > 1 else f"{stem}{suffix}")
        if not path.exists() and not path.with_suffix(".gif").exists():
            yield path


def new_folder(paths: Iterable[Path]) -> Path:
    """Create the first of ``paths`` that does not exist. Of several processes, each gets its own."""
    for path in paths:
        with output_errors(path), contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
    raise FileExistsError


def write_image_file(path: Path, contents: bytes, other_names: Iterator[Path] | None) -> Path:
    """Write a file, or with ``other_names`` a new file of the first name that is free. Returns its path."""
    if other_names is None:
        return write_file(path, contents)
    return write_new_file(itertools.chain([path], other_names), contents)


class EstimateOptions(NamedTuple):
    """Which estimates of x_0 are written during a run (--gif, --save-every)."""

    animate: bool = False
    """Write all of them as one animation."""
    every: int | None = None
    """Write the estimate after every ``every`` network calls to a PNG file; None for none."""

    def check(self) -> None:
        if self.every is not None:
            whole_number("--save-every", self.every, low=1)

    def keeps(self, calls: int) -> bool:
        return self.animate or self.saves(calls)

    def saves(self, calls: int) -> bool:
        return self.every is not None and calls % self.every == 0


class FileOutput:
    """Writes all images to one file (.png: a grid), and the animation and the estimates beside it.

    With ``index``, the recipe is that of one image of a folder: only this image is written. Its whole batch is
    generated, since the batch can change an image by a rounding error. With ``other_names``, an existing file is not
    replaced: the images get the first of these names that is free. ``recipe`` is called when the file is written: the
    model's hash may not be known before.
    """

    def __init__(
        self,
        path: Path,
        recipe: Callable[[], Mapping[str, Any]],
        index: int | None,
        estimates: EstimateOptions,
        other_names: Iterator[Path] | None = None,
        png_level: int | None = None,
        enlarge: int | None = None,
    ) -> None:
        check_suffix(path)
        check_can_write(path)
        estimates.check()
        self.path, self.index, self.estimates, self._other_names = path, index, estimates, other_names
        self._recipe, self._png_level, self._enlarge = recipe, png_level, enlarge
        self._batches: list[Pixels] = []
        self._frames: dict[int, list[Pixels]] = {}

    @property
    def images(self) -> Pixels:
        return np.concatenate(self._batches)

    @property
    def num_made(self) -> int:
        return len(self.images)

    def chunks(self, request: Request) -> Sequence[range]:
        """The batches to generate."""
        return list(request.chunks()) if self.index is None else [request.chunk_of(self.index)]

    def take(self, progress: Progress) -> None:
        if self.estimates.keeps(progress.calls):
            self._frames.setdefault(progress.calls, []).append(self._selected(progress, progress.estimates()))
        if progress.images is not None:
            self._batches.append(self._selected(progress, progress.images))

    def _selected(self, progress: Progress, images: Pixels) -> Pixels:
        if self.index is None:
            return images
        position = self.index - progress.indices.start
        return images[position : position + 1]

    def write(self) -> None:
        recipe = {**self._recipe(), **({} if self.index is None else {"index": self.index})}
        factor = factor_of(self._enlarge, self.images)
        contents = file_bytes(self.path, self.images, recipe, self._png_level, factor)
        self.path = write_image_file(self.path, contents, self._other_names)
        factor = factor_of(self._enlarge, self.images, animated=self.estimates.animate)
        frames = {
            calls: grid(enlarged(np.concatenate(batches), factor)) for calls, batches in sorted(self._frames.items())
        }
        if self.estimates.animate:
            write_file(self.path.with_suffix(".gif"), gif_bytes(list(frames.values())))
        for calls, frame in frames.items():
            if self.estimates.saves(calls):
                write_file(_estimate_path(self.path, calls), png_bytes(frame, {"estimate_after": calls}))

    def close(self) -> None:
        """Does nothing."""

    def interruption_message(self, _request: Request) -> str:
        return "interrupted: nothing was written. With a folder as --output, a run can be resumed"


class FolderOptions(NamedTuple):
    """How a folder is shared with other processes, and how its files are encoded."""

    machine: Callable[[], Mapping[str, str] | None]
    """The facts of this machine, known once the model is open; None for a folder that any machine may write."""
    shard: Shard = ALL
    png_level: int | None = None
    archive: Archive | None = None
    """How the images are divided into tar files; None for single files."""


class FolderOutput:
    """Writes one file per image, or tar files, to a folder, batch by batch. A run that was interrupted can be resumed.

    ``recipe`` is called at once only if the folder has images, which may be of another run: the model's hash may not be
    known yet. ``machine`` is called when the first batch is to be made.
    """

    def __init__(
        self,
        target: str,
        recipe: Callable[[], Mapping[str, Any]],
        suffix: str,
        estimates: EstimateOptions,
        options: FolderOptions,
    ) -> None:
        estimates.check()
        self.path: Storage = storage_of(target)
        self.estimates, self.options = estimates, options
        self.num_made = 0
        self._recipe, self._suffix = recipe, suffix
        self._written = Beside()
        self.path.create()
        if self.path.read(RUN_FILE, 1) is not None:
            self._open(None)

    def _open(self, machine: Mapping[str, str] | None) -> ImageFolder:
        return folder_of(self.options.archive, self.path, self._recipe(), self._suffix, machine, self.options.png_level)

    @functools.cached_property
    def _folder(self) -> ImageFolder:
        return self._open(self.options.machine())

    def chunks(self, request: Request) -> Sequence[range]:
        """The shard's batches with a missing image. The whole batch is made again, so that its images are the same."""
        return [chunk for chunk in self._mine(request) if not all(map(self._folder.holds, chunk))]

    def _mine(self, request: Request) -> Sequence[range]:
        return self.options.shard.of(request.chunks(), self.options.archive)

    def take(self, progress: Progress) -> None:
        """Write what a network call made, in a thread beside the next calls."""
        if self.estimates.saves(progress.calls):
            self._written.do(self._write_estimates, progress.indices, progress.estimates(), progress.calls)
        if progress.images is not None:
            self._written.do(self._write_images, progress.indices, progress.images)
            self.num_made += len(progress.images)

    def _write_estimates(self, indices: range, estimates: Pixels, calls: int) -> None:
        for index, estimate in zip(indices, estimates, strict=True):
            name = _estimate_path(Path(self._folder.name(index)), calls).name
            self.path.write(name, png_bytes(estimate, {"estimate_after": calls}))

    def _write_images(self, indices: range, images: Pixels) -> None:
        for index, image in zip(indices, images, strict=True):
            self._folder.add(index, image)

    def write(self) -> None:
        """Wait until all batches are written."""
        self._written.wait()

    def close(self) -> None:
        """End the writing, also after an error: nothing is written once the command has ended."""
        self._written.close()

    def interruption_message(self, request: Request) -> str:
        with contextlib.suppress(OutputError):
            self._written.wait()
        indices = [index for chunk in self._mine(request) for index in chunk]
        done = sum(map(self._folder.holds, indices))
        of_shard = "" if self.options.shard == ALL else f" of shard {self.options.shard}"
        return (
            f"interrupted with {done} of {len(indices)} images{of_shard} in {self.path}: run the same command to go on"
        )


def _estimate_path(path: Path, calls: int) -> Path:
    return path.with_name(f"{path.stem}-call-{calls:04d}.png")
