"""Finished images behind URLs (``response_format: url``). They need no key: the URL is too long to guess."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import NotFound
from ..http.schemas import errors


class StoredImage(NamedTuple):
    """An image as a file; ``expires`` is in seconds of the store's clock."""

    contents: bytes
    media_type: str
    expires: float


class ImageStore:
    """Keeps images for ``keep_s`` seconds of ``clock``, at most ``keep`` of them, and ``keep_bytes`` bytes.

    The oldest is deleted first; the newest is always kept.
    """

    def __init__(self, keep_s: float, keep: int, keep_bytes: int, clock: Callable[[], float]) -> None:
        self._keep_s, self._keep, self._keep_bytes, self._clock = keep_s, keep, keep_bytes, clock
        self._images: OrderedDict[str, StoredImage] = OrderedDict()
        self._bytes = 0

    def add(self, contents: bytes, suffix: str) -> str:
        """Store an image; returns the path of its URL."""
        name = f"{secrets.token_urlsafe(24)}.{suffix}"
        self._images[name] = StoredImage(contents, f"image/{suffix}", self._clock() + self._keep_s)
        self._bytes += len(contents)
        self._expire()
        return f"/images/{name}"

    def get(self, name: str) -> StoredImage:
        """The image with a name; raises NotFound for an unknown or expired one."""
        self._expire()
        if name not in self._images:
            raise NotFound("there is no such image, or it has expired")
        return self._images[name]

    def _expire(self) -> None:
        while self._images:
            oldest = next(iter(self._images.values()))
            fit = len(self._images) == 1 or (len(self._images) <= self._keep and self._bytes <= self._keep_bytes)
            if oldest.expires > self._clock() and fit:
                return
            self._images.popitem(last=False)
            self._bytes -= len(oldest.contents)


def publisher(store: ImageStore, http: Request) -> Callable[[bytes, str], str]:
    """A function that stores a file, given its contents and suffix, and returns its URL on the host of ``http``."""
    base_url = f"{http.url.scheme}://{http.url.netloc}{http.scope.get('root_path', '')}"

    def publish(contents: bytes, suffix: str) -> str:
        return base_url + store.add(contents, suffix)

    return publish


def routes(store: ImageStore) -> APIRouter:
    """The router of ``/images/{name}``."""
    router = APIRouter(tags=["OpenAI"])

    @router.get(
        "/images/{name}",
        summary="An image that was requested as a URL",
        response_class=Response,
        responses={200: {"content": {"image/*": {}}}, **errors(403, 404)},
    )
    async def image(name: str) -> Response:
        found = store.get(name)
        return Response(found.contents, media_type=found.media_type)

    return router
