"""Encodes images as PNG, JPEG or WebP files."""

import io
from collections.abc import Mapping
from typing import Any

from ...arrays import Pixels
from ...images.encode import png_bytes, to_pillow
from .body_to_request import FileFormat


def encode_image(image: Pixels, file_format: FileFormat, recipe: Mapping[str, Any]) -> bytes:
    """Encode one image, uint8 (H, W, C), as a file; a PNG contains its recipe."""
    if file_format.name == "png":
        return png_bytes(image, recipe)
    picture = to_pillow(image)
    if file_format.name == "jpeg" and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, file_format.name, quality=file_format.quality)
    return buffer.getvalue()
