"""From a body to the engine, and from the engine's events to images that a client can be given."""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Any

from ...arrays import Pixels
from ...bundle.bundle import Bundle
from ...generation.requests.options import recipe_of
from ...generation.requests.origin import Origin
from ...generation.requests.request import Request
from ..scheduling.async_engine import AsyncEngine, Ticket
from ..scheduling.submission import ImageDone
from .body_to_request import FileFormat, parse_file_format, request_from_body
from .encoding import encode_image
from .schemas import ImageBody

Publish = Callable[[bytes, str], str]
"""Keeps a file with a suffix and returns its address."""


@dataclass(frozen=True)
class EncodedImage:
    """One image of an answer, whole or on its way, as a file."""

    index: int
    finished: bool
    contents: bytes
    recipe: dict[str, Any]
    is_safe: bool | None = None

    @property
    def extra_fields(self) -> dict[str, Any]:
        """What is said of a finished one."""
        return {"ddim_edge": self.recipe, **({} if self.is_safe is None else {"is_safe": self.is_safe})}

    @property
    def b64_json(self) -> str:
        return base64.b64encode(self.contents).decode("ascii")


@dataclass(frozen=True)
class ImageResponse:
    """A request that the engine has taken."""

    ticket: Ticket
    request: Request
    bundle: Bundle
    file_format: FileFormat
    publish: Publish

    async def images(self) -> AsyncGenerator[EncodedImage]:
        """Partial and finished images as they come; raises what ended them."""
        async for event in self.ticket:
            image = await self.image(event.image, event.index, finished=isinstance(event, ImageDone))
            yield replace(image, is_safe=event.is_safe) if isinstance(event, ImageDone) else image

    async def image(self, pixels: Pixels, index: int, *, finished: bool) -> EncodedImage:
        """Image ``index``, uint8 (H, W, C), as a file; made beside the event loop, for a large one takes long."""
        recipe = {**recipe_of(self.bundle, self.request), "index": index}
        return EncodedImage(
            index, finished, await asyncio.to_thread(encode_image, pixels, self.file_format, recipe), recipe
        )

    async def to_json(self) -> dict[str, Any]:
        """OpenAI's answer with all images."""
        made = [image async for image in self.images() if image.finished]
        data = [self._item(image) for image in sorted(made, key=lambda image: image.index)]
        return {"created": int(time.time()), "data": data, "quality": None, **self.common_fields()}

    def common_fields(self) -> dict[str, str]:
        """What all images have in common."""
        channels, height, width = self.bundle.image_shape(self.request.height, self.request.width)
        background = "transparent" if channels == 4 else "opaque"
        return {"output_format": self.file_format.name, "size": f"{width}x{height}", "background": background}

    def _item(self, image: EncodedImage) -> dict[str, Any]:
        if self.file_format.as_url:
            return {"url": self.publish(image.contents, self.file_format.name), **image.extra_fields}
        return {"b64_json": image.b64_json, **image.extra_fields}


def submit_body(
    engine: AsyncEngine,
    body: ImageBody,
    publish: Publish,
    *,
    origin: Origin | None = None,
    partial_images: int = 0,
    longest_s: float | None = None,
) -> ImageResponse:
    """Check the body and hand it to the engine; RequestError or ConfigError where that cannot be."""
    bundle = engine.catalogue.find(body.model)
    file_format = parse_file_format(body)
    request = request_from_body(body, bundle, engine.settings, origin)
    longest = engine.settings.timeout_s if longest_s is None else longest_s
    timeout = longest if body.timeout_s is None else min(body.timeout_s, longest)
    ticket = engine.submit(request, bundle.name, timeout_s=timeout, partial_images=partial_images)
    return ImageResponse(ticket, request, bundle, file_format, publish)
