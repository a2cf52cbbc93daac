"""Answers a request body: from the cache of results, or by the engine, as encoded images and JSON."""

import base64
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from ...arrays import Pixels
from ...generation.requests.origin import Origin
from ...generation.requests.step_cache import ImageCalls
from ...images.encode import png_with_recipe
from ..scheduling.admission import Place
from ..scheduling.async_engine import AsyncEngine, Ticket
from ..scheduling.result_cache import CachedImage, ResultCache
from ..scheduling.submission import ImageDone, Maker
from .arrival import Arrival
from .asked import Asked, check_body
from .encoding import encode_beside
from .schemas import ImageBody

Publish = Callable[[bytes, str], Awaitable[str]]
"""Stores a file, given its contents and suffix, and returns its URL."""


@dataclass(frozen=True)
class EncodedImage:
    """One partial or finished image of a response; ``file`` is without its recipe."""

    index: int
    finished: bool
    file: bytes
    recipe: dict[str, Any]
    is_safe: bool | None = None
    calls: ImageCalls | None = None
    """Of a finished image with a step cache."""

    @property
    def contents(self) -> bytes:
        """The file; a PNG contains the recipe."""
        return png_with_recipe(self.file, self.recipe) if self.file.startswith(b"\x89PNG") else self.file

    @property
    def extra_fields(self) -> dict[str, Any]:
        """The JSON fields of a finished image beyond those of OpenAI."""
        fields = {"is_safe": self.is_safe, "calls": self.calls and self.calls._asdict()}
        return {"ddim_edge": self.recipe, **{name: value for name, value in fields.items() if value is not None}}

    @property
    def b64_json(self) -> str:
        return base64.b64encode(self.contents).decode("ascii")


@dataclass(frozen=True)
class ImageResponse:
    """A submitted request and the format of its response."""

    asked: Asked
    publish: Publish
    ticket: Ticket
    cache: ResultCache | None

    @property
    def cache_status(self) -> str | None:
        """The header ``X-Cache``."""
        return None if self.cache is None else "miss"

    @property
    def is_queued(self) -> bool:
        return self.ticket.submission.state == "queued"

    @property
    def calls(self) -> int:
        """Network calls so far."""
        return self.ticket.submission.calls

    def cancel(self) -> None:
        """Stop the request; nothing happens if it has ended."""
        self.ticket.cancel()

    async def images(self) -> AsyncGenerator[EncodedImage]:
        """Partial and finished images as they come; raises the error that ended the request."""
        async with contextlib.aclosing(aiter(self.ticket)) as events:
            async for event in events:
                if isinstance(event, ImageDone):
                    yield await self._finish(event)
                else:
                    yield await self._encode(event.image, event.index, finished=False)

    async def _finish(self, done: ImageDone) -> EncodedImage:
        """Encode a finished image, and keep it."""
        image = await self._encode(done.image, done.index, finished=True)
        if self.cache is not None:
            kept = CachedImage(image.file, done.is_safe, done.calls)
            self.cache.add(self.asked.key(done.index, self._maker), kept)
        return replace(image, is_safe=done.is_safe, calls=self.asked.told(done.calls))

    async def previews(self) -> list[EncodedImage]:
        """The current estimates of its running images, ordered by index."""
        estimates = sorted((await self.ticket.estimates()).items())
        return [await self._encode(pixels, index, finished=False) for index, pixels in estimates]

    async def _encode(self, pixels: Pixels, index: int, *, finished: bool) -> EncodedImage:
        """Encode image ``index``, uint8 (H, W, C), beside the event loop."""
        file = await encode_beside(pixels, self.asked.file_format)
        return EncodedImage(index, finished, file, self.asked.recipe(index, self._maker))

    @property
    def _maker(self) -> Maker:
        maker = self.ticket.submission.maker
        assert maker is not None  # it has made an image
        return maker


@dataclass(frozen=True)
class CachedResponse:
    """The images of a request that the cache has, and the format of the response."""

    asked: Asked
    publish: Publish
    maker: Maker
    found: list[CachedImage]

    cache_status, is_queued = "hit", False

    @property
    def calls(self) -> int:
        """The network calls that the images took when they were made."""
        return self.asked.calls

    def cancel(self) -> None:
        """Nothing: it has ended."""

    async def images(self) -> AsyncGenerator[EncodedImage]:
        """The finished images."""
        for index, image in enumerate(self.found):
            recipe, calls = self.asked.recipe(index, self.maker), self.asked.told(image.calls)
            yield EncodedImage(index, True, image.file, recipe, image.is_safe, calls)

    async def previews(self) -> list[EncodedImage]:
        """None: no image is running."""
        return []


Answer = ImageResponse | CachedResponse


async def json_object(answer: Answer) -> dict[str, Any]:
    """OpenAI's response object with all finished images."""
    finished = [image async for image in answer.images() if image.finished]
    data = [await _item(answer, image) for image in sorted(finished, key=lambda image: image.index)]
    return {"created": int(time.time()), "data": data, "quality": None, **answer.asked.common_fields()}


async def _item(answer: Answer, image: EncodedImage) -> dict[str, Any]:
    file_format = answer.asked.file_format
    if file_format.as_url:
        return {"url": await answer.publish(image.contents, file_format.name), **image.extra_fields}
    return {"b64_json": image.b64_json, **image.extra_fields}


def submit_body(
    engine: AsyncEngine,
    body: ImageBody,
    publish: Publish,
    arrival: Arrival,
    *,
    origin: Origin | None = None,
    place: Place | None = None,
    partial_images: int = 0,
    longest_s: float | None = None,
) -> Answer:
    """Check the body, and find its images in the cache, or submit it to the engine, on its ``place`` if it has one.

    With ``partial_images`` it is always submitted. Raises RequestError or ConfigError. ``longest_s`` is the upper limit
    of the body's ``timeout_s``; None: the server's ``timeout_s``.
    """
    asked = check_body(engine, body, origin)
    engine.allowed(asked.bundle.name, arrival.key)
    found = None if partial_images else _cached(engine, asked, publish)
    if found is not None:
        return found
    deadline = deadline_of(body.timeout_s, arrival, engine.settings.timeout_s if longest_s is None else longest_s)
    with place or engine.take_place(asked.bundle.name, arrival.client, arrival.key) as taken:
        ticket = engine.submit_on(taken, asked.request, deadline, partial_images=partial_images)
    return ImageResponse(asked, publish, ticket, engine.results)


def _cached(engine: AsyncEngine, asked: Asked, publish: Publish) -> CachedResponse | None:
    """The images of a request, if the cache has them all; hits and misses are counted."""
    if engine.results is None:
        return None
    engine.engine_thread.check_open()
    maker = engine.loaded_models.maker(asked.bundle.name)
    images = None if maker is None else engine.results.find(asked.keys(maker))
    engine.metrics.cache(hit=images is not None)
    return None if maker is None or images is None else CachedResponse(asked, publish, maker, images)


def deadline_of(timeout_s: float | None, arrival: Arrival, longest_s: float) -> float:
    """When the request must have ended, in seconds of the engine's clock: its time counts from its arrival."""
    return arrival.time + (longest_s if timeout_s is None else min(timeout_s, longest_s))
