"""The protocol of a store of finished images (``response_format: url``)."""

import secrets
from typing import NamedTuple, Protocol

from ..errors import NotFound


class StoredImage(NamedTuple):
    """An image as a file, and its media type."""

    contents: bytes
    media_type: str


class ImageStore(Protocol):
    """Keeps images for some time. The methods raise StoreFailed where the store cannot be reached."""

    async def add(self, contents: bytes, suffix: str) -> str:
        """Store an image; returns the path of its URL."""
        ...

    async def get(self, name: str) -> StoredImage:
        """The image with a name; raises NotFound for an unknown or expired one."""
        ...


def new_name(suffix: str) -> str:
    """A file name that cannot be guessed."""
    return f"{secrets.token_urlsafe(24)}.{suffix}"


def stored_image(contents: bytes | None, name: str) -> StoredImage:
    """The image with a name of ``new_name``; raises NotFound without contents."""
    if contents is None:
        raise NotFound("there is no such image, or it has expired")
    return StoredImage(contents, f"image/{name.rpartition('.')[2]}")
