"""The images in Redis or Valkey."""

from typing import TYPE_CHECKING, Any

from .images import StoredImage, new_name, stored_image
from .redis_server import PREFIX, milliseconds, reaching

if TYPE_CHECKING:
    from redis.asyncio import Redis


class RedisImages:
    """An ImageStore of keys that expire after ``keep_s`` seconds."""

    def __init__(self, client: "Redis", keep_s: float) -> None:
        self._client, self._keep_ms = client, milliseconds(keep_s)

    async def add(self, contents: bytes, suffix: str) -> str:
        """Store an image; returns the path of its URL."""
        name = new_name(suffix)
        with reaching():
            await self._client.set(f"{PREFIX}image:{name}", contents, px=self._keep_ms)
        return f"/images/{name}"

    async def get(self, name: str) -> StoredImage:
        """The image with a name; raises NotFound for an unknown or expired one."""
        with reaching():
            contents: Any = await self._client.get(f"{PREFIX}image:{name}")
        return stored_image(contents, name)
