"""Encodes images as PNG, JPEG or WebP files."""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

from ...arrays import Pixels
from ...images.encode import png_bytes, to_pillow
from .body_to_request import FileFormat

_THREADS = ThreadPoolExecutor(2, "ddim-edge-encoder")
"""Of their own: a response never waits behind other work in threads."""


async def encode_beside(image: Pixels, file_format: FileFormat) -> bytes:
    """Encode one image in another thread: a large image would block the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, encode_image, image, file_format)


def encode_image(image: Pixels, file_format: FileFormat) -> bytes:
    """Encode one image, uint8 (H, W, C), as a file without a recipe."""
    if file_format.name == "png":
        return png_bytes(image, None)
    picture = to_pillow(image)
    if file_format.name == "jpeg" and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, file_format.name, quality=file_format.quality)
    return buffer.getvalue()
