"""Submits a request body to the engine, and converts the engine's events to encoded images and JSON."""

import base64
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ...arrays import Pixels
from ...bundle.bundle import Bundle
from ...generation.requests.options import recipe_of
from ...generation.requests.origin import Origin
from ...generation.requests.request import Request
from ..scheduling.admission import Place
from ..scheduling.async_engine import AsyncEngine, Ticket
from ..scheduling.submission import ImageDone
from .arrival import Arrival
from .body_to_request import FileFormat, parse_file_format, request_from_body
from .encoding import encode_beside
from .schemas import ImageBody

Publish = Callable[[bytes, str], Awaitable[str]]
"""Stores a file, given its contents and suffix, and returns its URL."""


@dataclass(frozen=True)
class EncodedImage:
    """One partial or finished image of a response, as a file."""

    index: int
    finished: bool
    contents: bytes
    recipe: dict[str, Any]
    is_safe: bool | None = None

    @property
    def extra_fields(self) -> dict[str, Any]:
        """The JSON fields of a finished image beyond those of OpenAI."""
        return {"ddim_edge": self.recipe, **({} if self.is_safe is None else {"is_safe": self.is_safe})}

    @property
    def b64_json(self) -> str:
        return base64.b64encode(self.contents).decode("ascii")


@dataclass(frozen=True)
class ImageResponse:
    """A submitted request and the format of its response."""

    ticket: Ticket
    request: Request
    bundle: Bundle
    file_format: FileFormat
    publish: Publish

    async def images(self) -> AsyncGenerator[EncodedImage]:
        """Partial and finished images as they come; raises the error that ended the request."""
        async with contextlib.aclosing(aiter(self.ticket)) as events:
            async for event in events:
                image = await self.encode(event.image, event.index, finished=isinstance(event, ImageDone))
                yield replace(image, is_safe=event.is_safe) if isinstance(event, ImageDone) else image

    async def encode(self, pixels: Pixels, index: int, *, finished: bool) -> EncodedImage:
        """Encode image ``index``, uint8 (H, W, C), beside the event loop."""
        made_by = self.ticket.submission
        recipe = recipe_of(self.bundle, self.request, made_by.model_sha256, precision=made_by.precision)
        recipe = {**recipe, "index": index}
        contents = await encode_beside(pixels, self.file_format, recipe)
        return EncodedImage(index, finished, contents, recipe)

    async def to_json(self) -> dict[str, Any]:
        """OpenAI's response object with all finished images."""
        finished = [image async for image in self.images() if image.finished]
        data = [await self._item(image) for image in sorted(finished, key=lambda image: image.index)]
        return {"created": int(time.time()), "data": data, "quality": None, **self.common_fields()}

    def common_fields(self) -> dict[str, str]:
        """The JSON fields that are the same for all images."""
        channels, height, width = self.bundle.image_shape(self.request.height, self.request.width)
        background = "transparent" if channels == 4 else "opaque"
        return {"output_format": self.file_format.name, "size": f"{width}x{height}", "background": background}

    async def _item(self, image: EncodedImage) -> dict[str, Any]:
        if self.file_format.as_url:
            return {"url": await self.publish(image.contents, self.file_format.name), **image.extra_fields}
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
) -> ImageResponse:
    """Check the body and submit it to the engine, on its ``place`` if it has one; raises RequestError or ConfigError.

    ``longest_s`` is the upper limit of the body's ``timeout_s``; None: the server's ``timeout_s``.
    """
    bundle, request, file_format = check_body(engine, body, origin)
    deadline = deadline_of(body, arrival, engine.settings.timeout_s if longest_s is None else longest_s)
    with place or engine.take_place(bundle.name, arrival.client, arrival.key) as taken:
        ticket = engine.submit_on(taken, request, deadline, partial_images=partial_images)
    return ImageResponse(ticket, request, bundle, file_format, publish)


class CheckedBody(NamedTuple):
    """What a body asks for."""

    bundle: Bundle
    request: Request
    file_format: FileFormat


def check_body(engine: AsyncEngine, body: ImageBody, origin: Origin | None = None) -> CheckedBody:
    """Check the body; raises RequestError or ConfigError."""
    bundle = engine.catalogue.find(body.model)
    file_format = parse_file_format(body)
    request = engine.within_memory(request_from_body(body, bundle, engine.settings, origin), bundle.name)
    return CheckedBody(bundle, request, file_format)


def deadline_of(body: ImageBody, arrival: Arrival, longest_s: float) -> float:
    """When the request must have ended, in seconds of the engine's clock: its time counts from its arrival."""
    return arrival.time + (longest_s if body.timeout_s is None else min(body.timeout_s, longest_s))
