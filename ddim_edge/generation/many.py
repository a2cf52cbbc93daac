"""Many requests at once: the images of different requests share every network call; each comes when it is finished."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..arrays import Array, Pixels, Sample
from ..bundle.bundle import Bundle
from ..errors import ConfigError, shown
from ..images.formats import ARRAY_SUFFIXES, images_of
from ..images.save import save_file
from ..networks.components import Components
from ..networks.denoiser import Denoiser
from ..networks.safety_checker import warn_unsafe
from .engine import Engine, Job
from .jobs import job_of
from .requests.options import recipe_of
from .requests.request import Request


@dataclass(frozen=True, eq=False)
class MadeImage:
    """One image of ``Pipeline.generate_many``, or the error that ended its request.

    Attributes:
        index: which image of its request it is.
        recipe: the JSON object that makes it again, and that its PNG carries; empty if there is an error.
        is_safe: whether it passed the model's safety checker, it is black if not; None if it was not checked.
        error: why the request failed; None if it did not.
    """

    index: int
    recipe: dict[str, Any] = field(default_factory=dict)
    is_safe: bool | None = None
    error: Exception | None = None
    pixels: Pixels | None = field(default=None, repr=False)
    floats: Sample | None = field(default=None, repr=False)

    @property
    def image(self) -> Pixels:
        """The image, uint8 (H, W, C). Raises ``error`` if the request failed, ConfigError for an array."""
        if self.error is not None:
            raise self.error
        return images_of(self.pixels)

    @property
    def sample(self) -> Sample:
        """The sample in the units of the model's output, float32. Raises ``error`` if the request failed."""
        if self.error is not None:
            raise self.error
        assert self.floats is not None
        return self.floats

    def contents(self, suffix: str) -> Array:
        """What a file of that suffix holds, as in ``Progress``. Raises ``error`` if the request failed."""
        return self.sample if suffix in ARRAY_SUFFIXES else self.image

    def save(self, path: str | os.PathLike[str]) -> Path | str:
        """Write it to one file, as ``Result.save`` does: a ``.png`` file carries the recipe. May be a URL, too."""
        if self.error is not None:
            raise self.error
        pixels = None if self.pixels is None else self.pixels[None]
        floats = None if self.floats is None else self.floats[None]
        return save_file(path, pixels, floats, self.recipe)


class Model(NamedTuple):
    """What makes the images: an open model.

    Attributes:
        admit: checks a request, and returns the most rows of a network call that it allows, None for no limit.
        turns: whether one network is in memory at a time.
    """

    bundle: Bundle
    denoiser: Denoiser
    components: Components
    precision: str
    admit: Callable[[Request], int | None]
    turns: bool


@dataclass(eq=False)
class _Asked:
    """A request that was taken from the input, at ``position``."""

    position: int
    request: Request
    most_rows: int | None = None
    failed: bool = False
    recipe: dict[str, Any] | None = None

    @property
    def rows(self) -> int:
        """The most rows of one of its images in a network call."""
        return self.request.rows


@dataclass(frozen=True, eq=False)
class _Image:
    asked: _Asked
    index: int


Made = tuple[int, MadeImage]


def made_images(model: Model, requests: Iterable[Request], max_rows: int) -> Generator[Made, None, None]:
    """Make the images of ``requests``; ``Pipeline.generate_many`` describes it."""
    engine = Engine(model.denoiser, max_rows)
    many = _Many(model, engine, _Queue(requests))
    try:
        yield from many.start()
        while engine.jobs:
            yield from many.step()
            yield from many.start()
    finally:
        for job in engine.jobs:
            engine.remove(job)


class _Queue:
    """The images of an input of requests, in order. It takes a request when its first image is looked at."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._images = _images(requests)
        self._first: _Image | None = None

    def first(self) -> _Image | None:
        """The next image; None at the end. It stays the next one until it is taken, or its request has failed."""
        while self._first is None or self._first.asked.failed:
            self._first = next(self._images, None)
            if self._first is None:
                return None
        return self._first

    def take(self) -> None:
        self._first = None


def _images(requests: Iterable[Request]) -> Iterator[_Image]:
    for position, request in enumerate(requests):
        if not isinstance(request, Request):
            raise ConfigError(f"requests must be Request objects, as of Pipeline.request, not {shown(request)}")
        asked = _Asked(position, request)
        for index in range(request.num_images):
            if asked.failed:
                break
            yield _Image(asked, index)


class _Many:
    """The jobs that run, and what they are for."""

    def __init__(self, model: Model, engine: Engine, queue: _Queue) -> None:
        self._model, self._engine, self._queue = model, engine, queue
        self._running: dict[Job, _Image] = {}

    def start(self) -> Iterator[Made]:
        """Start the images that fit; at least one, where none runs. Yields what fails at its start.

        Where one network is in memory at a time, the next ones start together when all have ended: each start closes
        the UNet.
        """
        if self._model.turns and self._running:
            return
        while self._has_room() and (image := self._queue.first()) is not None and self._fits(image):
            self._queue.take()
            try:
                self._begin(image)
            except Exception as error:  # of whatever kind: only this request fails
                yield self._fail(image, error)

    def step(self) -> Iterator[Made]:
        """Make one network call, and yield what has ended."""
        limits = [image.asked.most_rows for image in self._running.values() if image.asked.most_rows is not None]
        self._engine.denoiser.most_rows = min(limits, default=None)
        for job in self._engine.step():
            image = self._running.pop(job, None)
            if image is not None:  # None: its request has failed in this step
                yield self._finish(image, job)

    def _has_room(self) -> bool:
        return self._rows() < self._engine.max_rows

    def _fits(self, image: _Image) -> bool:
        return not self._running or self._rows() + image.asked.rows <= self._engine.max_rows

    def _rows(self) -> int:
        return sum(image.asked.rows for image in self._running.values())

    def _begin(self, image: _Image) -> None:
        asked, index = image.asked, image.index
        if index == 0:
            asked.most_rows = self._model.admit(asked.request)
        job = job_of(self._model.bundle, asked.request, index, self._model.components)
        self._engine.add(job)
        self._running[job] = image

    def _finish(self, image: _Image, job: Job) -> Made:
        try:
            return image.asked.position, self._made(image, job)
        except Exception as error:  # of the job, the decoder or the safety checker: only this request fails
            return self._fail(image, error)

    def _made(self, image: _Image, job: Job) -> MadeImage:
        asked, index, request = image.asked, image.index, image.asked.request
        samples, images, is_safe = self._model.components.finished(
            job.result(), check=request.safety_checker, tiles=request.vae_tiling, tile=request.vae_tile
        )
        warn_unsafe([index], is_safe, request.seed)
        if asked.recipe is None:
            asked.recipe = recipe_of(
                self._model.bundle, replace(request, batch_size=1), precision=self._model.precision
            )
        safe = None if is_safe is None else is_safe[0]
        pixels = None if images is None else images[0]
        return MadeImage(index, {**asked.recipe, "index": index}, safe, pixels=pixels, floats=samples[0])

    def _fail(self, image: _Image, error: Exception) -> Made:
        """End the request of an image."""
        image.asked.failed = True
        for job in [job for job, other in self._running.items() if other.asked is image.asked]:
            self._engine.remove(job)
            del self._running[job]
        return image.asked.position, MadeImage(image.index, error=error)
