"""Finished images behind URLs (``response_format: url``). They need no key: the URL is too long to guess."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..http.image_response import Publish
from ..http.schemas import errors
from ..stores.images import ImageStore


def base_url(http: Request) -> str:
    """Host and root path of a request, before the path of an address."""
    return f"{http.url.scheme}://{http.url.netloc}{http.scope.get('root_path', '')}"


def publisher(store: ImageStore, base_url: str) -> Publish:
    """A function that stores a file, given its contents and suffix, and returns its URL."""

    async def publish(contents: bytes, suffix: str) -> str:
        return base_url + await store.add(contents, suffix)

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
        found = await store.get(name)
        return Response(found.contents, media_type=found.media_type)

    return router
