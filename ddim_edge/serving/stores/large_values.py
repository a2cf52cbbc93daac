"""Large values of a store: files in a folder or bucket, of which the store keeps the address."""

import asyncio
from pathlib import Path

from ...errors import ConfigError, OutputError
from ...images.remote import is_url
from ...images.storage import Storage, storage_of, without_file_scheme
from ..errors import StoreFailed

LARGE_BYTES = 64 * 2**10
"""Values of so many bytes and more are files."""
_ADDRESS = b"@"
"""How an address begins, and no image and no JSON."""
_PROBE = ".ddim-edge-probe"
_MOST_BYTES = 2**31


class LargeValues:
    """Puts large values of ``put`` into a folder, a path or URL; None: every value stays as it is.

    Nothing is deleted: that is left to the bucket. Raises ConfigError for a folder that cannot be written to.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = None if folder is None else _opened(folder)
        self._prefix = _ADDRESS + f"{str(self._folder).rstrip('/')}/".encode()

    async def put(self, name: str, value: bytes) -> bytes:
        """What the store keeps: the value, or the address of the file ``name`` with it. Raises StoreFailed."""
        if self._folder is None or len(value) < LARGE_BYTES:
            return value
        try:
            await asyncio.to_thread(self._folder.write, name, value)
        except OutputError as error:
            raise _failed() from error
        return self._prefix + name.encode()

    async def get(self, kept: bytes | None) -> bytes | None:
        """The value of what the store keeps, None if there is none or its file was deleted. Raises StoreFailed."""
        if kept is None or not kept.startswith(_ADDRESS):
            return kept
        if self._folder is None or not kept.startswith(self._prefix):
            raise StoreFailed("the contents are in a folder that this server does not know (--store-images)")
        try:
            return await asyncio.to_thread(self._folder.read, kept.removeprefix(self._prefix).decode(), _MOST_BYTES)
        except OutputError as error:
            raise _failed() from error


def _opened(folder: str) -> Storage:
    """The folder, after an empty file was written to it."""
    try:
        path = without_file_scheme(folder)
        storage = storage_of(path if is_url(path) else Path(path).absolute())
        storage.write(_PROBE, b"")
    except (ConfigError, OutputError) as error:
        raise ConfigError(f"--store-images: {error}") from None
    return storage


def _failed() -> StoreFailed:
    return StoreFailed("the folder of images and results cannot be reached: try again later")
