"""Finished images that are fetched by an address: whoever knows it may, as it is too long to guess."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import NotFound
from ..http.schemas import errors


class StoredImage(NamedTuple):
    """An image as a file; ``expires`` is when it leaves, on the store's clock."""

    contents: bytes
    media_type: str
    expires: float


class ImageStore:
    """Images leave after ``keep_s`` seconds of ``clock``, or when there are more than ``keep`` of them."""

    def __init__(self, keep_s: float, keep: int, clock: Callable[[], float]) -> None:
        self._keep_s, self._keep, self._clock = keep_s, keep, clock
        self._images: OrderedDict[str, StoredImage] = OrderedDict()

    def add(self, contents: bytes, suffix: str) -> str:
        """Keep an image; the path of its address."""
        name = f"{secrets.token_urlsafe(24)}.{suffix}"
        self._images[name] = StoredImage(contents, f"image/{suffix}", self._clock() + self._keep_s)
        self._expire()
        return f"/images/{name}"

    def get(self, name: str) -> StoredImage:
        """The image of a name; NotFound where there is none, or no longer."""
        self._expire()
        if name not in self._images:
            raise NotFound("there is no such image, or it is no longer kept")
        return self._images[name]

    def _expire(self) -> None:
        while self._images:
            oldest = next(iter(self._images.values()))
            if oldest.expires > self._clock() and len(self._images) <= self._keep:
                return
            self._images.popitem(last=False)


def publisher(store: ImageStore, http: Request) -> Callable[[bytes, str], str]:
    """What keeps a file with a suffix and returns its address, under the name by which ``http`` called this server."""
    here = f"{http.url.scheme}://{http.url.netloc}{http.scope.get('root_path', '')}"

    def publish(contents: bytes, suffix: str) -> str:
        return here + store.add(contents, suffix)

    return publish


def routes(store: ImageStore) -> APIRouter:
    """The route that an address leads to."""
    router = APIRouter(tags=["OpenAI"])

    @router.get(
        "/images/{name}",
        summary="An image that was asked for as a url",
        response_class=Response,
        responses={200: {"content": {"image/*": {}}}, **errors(403, 404)},
    )
    async def image(name: str) -> Response:
        found = store.get(name)
        return Response(found.contents, media_type=found.media_type)

    return router
