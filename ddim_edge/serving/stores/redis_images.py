"""The images in Redis or Valkey."""

from typing import TYPE_CHECKING, Any

from .images import StoredImage, new_name, stored_image
from .large_values import LargeValues
from .redis_server import PREFIX, milliseconds, reaching

if TYPE_CHECKING:
    from redis.asyncio import Redis


class RedisImages:
    """An ImageStore of keys that expire after ``keep_s`` seconds."""

    def __init__(self, client: "Redis", keep_s: float, large: LargeValues) -> None:
        self._client, self._keep_ms, self._large = client, milliseconds(keep_s), large

    async def add(self, contents: bytes, suffix: str) -> str:
        """Store an image; returns the path of its URL."""
        name = new_name(suffix)
        kept = await self._large.put(name, contents)
        with reaching():
            await self._client.set(f"{PREFIX}image:{name}", kept, px=self._keep_ms)
        return f"/images/{name}"

    async def get(self, name: str) -> StoredImage:
        """The image with a name; raises NotFound for an unknown or expired one."""
        with reaching():
            kept: Any = await self._client.get(f"{PREFIX}image:{name}")
        return stored_image(await self._large.get(kept), name)
