"""Output of a command to one file: all images, their animation, their estimates."""

import contextlib
import glob
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, Pixels, Shape
from ..config import whole_number
from ..files import output_errors
from ..generation.requests.request import Request
from ..generation.requests.step_cache import network_calls
from ..generation.results import Progress
from ..images.encode import enlarged, gif_bytes, grid, grid_shape, png_bytes
from ..images.formats import ARRAY_SUFFIXES
from ..images.save import check_suffix, file_bytes
from ..images.storage import check_can_write
from ..images.whole import is_same_picture, is_whole_npz
from .enlarging import factor_of
from .replacing import existing, exists, write_output


def free_names(model: str, file_format: str) -> Iterator[Path]:
    """Those of model.png, model-2.png, … that do not exist in the current folder, nor as .gif, nor with estimates.

    Without a format, the names of folders: model-images, model-images-2, …
    """
    stem = Path(model).resolve().name
    suffix = f".{file_format}" if file_format else ""
    stem = stem if file_format else f"{stem.replace('.', '-')}-images"
    for number in itertools.count(1):
        path = Path(f"{stem}-{number}{suffix}" if number > 1 else f"{stem}{suffix}")
        estimates = Path().glob(f"{glob.escape(path.stem)}-call-*.png")
        if not existing([path, path.with_suffix(".gif")]) and not any(estimates):
            yield path


def new_folder(paths: Iterable[Path]) -> Path:
    """Create the first of ``paths`` that does not exist. Of several processes, each gets its own."""
    for path in paths:
        with output_errors(path), contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
    raise FileExistsError


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

    def saved(self, calls: int) -> range:
        """Of so many network calls, those after which the estimate is written to a file."""
        return range(0) if self.every is None else range(self.every, calls + 1, self.every)

    def saves(self, calls: int) -> bool:
        return self.every is not None and calls % self.every == 0


def estimate_path(path: Path, calls: int) -> Path:
    """Where the estimate after so many calls is written, beside the image file ``path``."""
    return path.with_name(f"{path.stem}-call-{calls:04d}.png")


class FileOutput:
    """Writes all images to one file (.png: a grid), and the animation and the estimates beside it.

    With ``index``, the recipe is that of one image of a folder: only this image is written. Its whole batch is
    generated, since the batch can change an image by a rounding error. A file that exists is replaced only with
    ``force``; with ``other_names`` the images get the first of these names that is free. ``recipe`` is called when the
    file is written, or where there is one with a recipe: the model's hash may not be known before. ``whole_calls`` says
    how many of the images made so many whole network calls.
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
        force: bool = False,
    ) -> None:
        estimates.check()
        self.path, self.index, self.estimates, self._other_names = path, index, estimates, other_names
        self._recipe, self._png_level, self._enlarge, self._force = recipe, png_level, enlarge, force
        self._check()
        self._kept: list[Path] = []
        self.num_there = 0
        self.whole_calls = Counter[int]()
        self._batches: list[Array] = []
        self._pixels: list[Pixels] = []
        self._frames: dict[int, list[Pixels]] = {}

    def _check(self) -> None:
        check_suffix(self.path)
        check_can_write(self.path)

    @property
    def images(self) -> Pixels:
        """The images, also where the file holds samples."""
        return np.concatenate(self._pixels)

    def recipe(self) -> Mapping[str, Any]:
        """What the file carries."""
        return {**self._recipe(), **({} if self.index is None else {"index": self.index})}

    @property
    def num_made(self) -> int:
        return sum(map(len, self._batches))

    def finished(self, request: Request, shape: Shape | None) -> bool:
        """Whether all files are there, from the same run; ``shape`` is (C, H, W) of an image, None for arrays.

        Raises OutputError for a file that is something else. The animation and the estimates beside a picture are
        taken to be its own.
        """
        wanted = [self.path, *self._beside(network_calls(request))]
        there = [] if self._force or self._other_names is not None else existing(wanted)
        if there and not (self.path in there and self._is_this_picture(request, shape)):
            raise exists(there[0])
        self._kept = there
        done = bool(there) and len(there) == len(wanted)
        self.num_there = self._count(request) if done else 0
        return done

    def _beside(self, calls: int) -> list[Path]:
        """The animation and the estimates that are written after so many network calls."""
        animation = [self.path.with_suffix(".gif")] if self.estimates.animate else []
        return animation + [estimate_path(self.path, call) for call in self.estimates.saved(calls)]

    def _count(self, request: Request) -> int:
        return request.num_images if self.index is None else 1

    def _is_this_picture(self, request: Request, shape: Shape | None) -> bool:
        if self.path.suffix == ".npz":
            return is_whole_npz(self.path, self.recipe())
        if shape is None:
            return False
        count = self._count(request)
        _, height, width = shape
        rows, columns = grid_shape(count)
        factor = factor_of(self._enlarge, count, max(height, width))
        return is_same_picture(self.path, self.recipe, (columns * width * factor, rows * height * factor))

    def chunks(self, request: Request) -> Sequence[range]:
        """The batches to generate."""
        return list(request.chunks()) if self.index is None else [request.chunk_of(self.index)]

    def take(self, progress: Progress) -> None:
        selected = self._selected(progress.indices)
        if self.estimates.keeps(progress.calls):
            self._frames.setdefault(progress.calls, []).append(progress.estimates()[selected])
        if progress.ended:
            self._batches.append(progress.contents(self.path.suffix)[selected])
            self._pixels += [] if progress.images is None else [progress.images[selected]]
            self.whole_calls.update(job.whole_calls for job in progress.jobs[selected])

    def _selected(self, indices: range) -> slice:
        """Which images of a batch are written."""
        if self.index is None:
            return slice(None)
        position = self.index - indices.start
        return slice(position, position + 1)

    def contents(self) -> bytes:
        """The bytes of the file."""
        factor = 1 if self.path.suffix in ARRAY_SUFFIXES else self._factor(animated=False)
        return file_bytes(self.path, np.concatenate(self._batches), self.recipe(), self._png_level, factor)

    def _factor(self, *, animated: bool) -> int:
        count, height, width, _ = self.images.shape
        return factor_of(self._enlarge, count, max(height, width), animated=animated)

    def write(self) -> None:
        contents = self.contents()
        if self.path not in self._kept:
            self.path = write_output(self.path, contents, force=self._force, other_names=self._other_names)
        if not self._frames:
            return
        factor = self._factor(animated=self.estimates.animate)
        frames = {
            calls: grid(enlarged(np.concatenate(batches), factor)) for calls, batches in sorted(self._frames.items())
        }
        if self.estimates.animate:
            self._write_beside(self.path.with_suffix(".gif"), gif_bytes(list(frames.values())))
        for calls, frame in frames.items():
            if self.estimates.saves(calls):
                self._write_beside(estimate_path(self.path, calls), png_bytes(frame, {"estimate_after": calls}))

    def _write_beside(self, path: Path, contents: bytes) -> None:
        if path not in self._kept:
            write_output(path, contents, force=self._force)

    def close(self) -> None:
        """Does nothing."""

    def interruption_message(self, _request: Request) -> str:
        return "interrupted: nothing was written. With a folder as --output, a run can be resumed"
