"""Output of ``ddim-edge run`` to one file: all images, their animation, their estimates."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Pixels
from ..config import whole_number
from ..files import output_errors, write_file, write_new_file
from ..generation.requests.request import Request
from ..generation.results import Progress
from ..images.encode import enlarged, gif_bytes, grid, png_bytes
from ..images.save import check_suffix, file_bytes
from ..images.storage import check_can_write
from .enlarging import factor_of


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


def estimate_path(path: Path, calls: int) -> Path:
    """Where the estimate after so many calls is written, beside the image file ``path``."""
    return path.with_name(f"{path.stem}-call-{calls:04d}.png")


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
        estimates.check()
        self.path, self.index, self.estimates, self._other_names = path, index, estimates, other_names
        self._recipe, self._png_level, self._enlarge = recipe, png_level, enlarge
        self._check()
        self._batches: list[Pixels] = []
        self._frames: dict[int, list[Pixels]] = {}

    def _check(self) -> None:
        check_suffix(self.path)
        check_can_write(self.path)

    @property
    def images(self) -> Pixels:
        return np.concatenate(self._batches)

    def recipe(self) -> Mapping[str, Any]:
        """What the file carries."""
        return {**self._recipe(), **({} if self.index is None else {"index": self.index})}

    @property
    def num_made(self) -> int:
        return len(self.images)

    @property
    def num_there(self) -> int:
        """Images that were there before the run: a file is made as a whole."""
        return 0

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

    def contents(self) -> bytes:
        """The bytes of the file."""
        factor = factor_of(self._enlarge, self.images)
        return file_bytes(self.path, self.images, self.recipe(), self._png_level, factor)

    def write(self) -> None:
        contents = self.contents()
        self.path = write_image_file(self.path, contents, self._other_names)
        factor = factor_of(self._enlarge, self.images, animated=self.estimates.animate)
        frames = {
            calls: grid(enlarged(np.concatenate(batches), factor)) for calls, batches in sorted(self._frames.items())
        }
        if self.estimates.animate:
            write_file(self.path.with_suffix(".gif"), gif_bytes(list(frames.values())))
        for calls, frame in frames.items():
            if self.estimates.saves(calls):
                write_file(estimate_path(self.path, calls), png_bytes(frame, {"estimate_after": calls}))

    def close(self) -> None:
        """Does nothing."""

    def interruption_message(self, _request: Request) -> str:
        return "interrupted: nothing was written. With a folder as --output, a run can be resumed"
