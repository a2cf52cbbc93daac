"""Output of ``ddim-edge run`` to a folder: one file per image, or tar files."""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..arrays import Array, Pixels, Shape
from ..errors import OutputError
from ..generation.requests.request import Request
from ..generation.results import Progress
from ..images.archive import Archive, folder_of
from ..images.earlier_files import RunFiles, make_room
from ..images.encode import png_bytes
from ..images.save import ImageFolder
from ..images.storage import Storage, storage_of
from .beside import Beside
from .output import EstimateOptions, estimate_path
from .seed import same_command
from .shards import ALL, Shard


class FolderOptions(NamedTuple):
    """How a folder is shared with other processes, and how its files are encoded."""

    machine: Callable[[], Mapping[str, str] | None]
    """The facts of this machine, known once the model is open; None for a folder that any machine may write."""
    shard: Shard = ALL
    png_level: int | None = None
    archive: Archive | None = None
    """How the images are divided into tar files; None for single files."""
    force: bool = False
    """Replace images of another run."""


class FolderOutput:
    """Writes one file per image, or tar files, to a folder, batch by batch. A run that was interrupted can be resumed.

    ``recipe`` is called at the start only if the folder has images, which may be of another run: the model's hash may
    not be known yet. ``machine`` is called when the first batch is to be made. ``whole_calls`` says how many of the
    images made so many whole network calls.
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
        self.num_made = self.num_there = 0
        self.whole_calls = Counter[int]()
        self._recipe, self._suffix = recipe, suffix
        self._written = Beside()
        self.path.create()

    def finished(self, request: Request, _shape: Shape | None) -> bool:
        """Check that the images can be written without replacing others; ``chunks`` says what is missing.

        Raises OutputError for a folder of another run, and for files in the way, unless they may be replaced.
        """
        tars = self.options.archive
        files = RunFiles(request.num_images, self._suffix, tars.step if tars else None)
        make_room(self.path, files, lambda: self._open(None), force=self.options.force)
        return False

    def _open(self, machine: Mapping[str, str] | None) -> ImageFolder:
        return folder_of(self.options.archive, self.path, self._recipe(), self._suffix, machine, self.options.png_level)

    @functools.cached_property
    def _folder(self) -> ImageFolder:
        return self._open(self.options.machine())

    def chunks(self, request: Request) -> Sequence[range]:
        """The shard's batches with a missing image. The whole batch is made again, so that its images are the same."""
        mine = self._mine(request)
        chunks = [chunk for chunk in mine if not all(map(self._folder.holds, chunk))]
        self.num_there = sum(map(len, mine)) - sum(map(len, chunks))
        return chunks

    def _mine(self, request: Request) -> Sequence[range]:
        return self.options.shard.of(request.chunks(), self.options.archive)

    def take(self, progress: Progress) -> None:
        """Write what a network call made, in a thread beside the next calls."""
        if self.estimates.saves(progress.calls):
            self._written.do(self._write_estimates, progress.indices, progress.estimates(), progress.calls)
        if progress.ended:
            self._written.do(self._write_images, progress.indices, progress.contents(self._suffix))
            self.num_made += len(progress.indices)
            self.whole_calls.update(job.whole_calls for job in progress.jobs)

    def _write_estimates(self, indices: range, estimates: Pixels, calls: int) -> None:
        for index, estimate in zip(indices, estimates, strict=True):
            name = estimate_path(Path(self._folder.name(index)), calls).name
            self.path.write(name, png_bytes(estimate, {"estimate_after": calls}))

    def _write_images(self, indices: range, images: Array) -> None:
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
            f"interrupted with {done} of {len(indices)} images{of_shard} in {self.path}: "
            f"{same_command(request.seed)} to go on"
        )
