"""The formats of image files: PNG, JPEG and WebP with the recipe inside, and .npy without."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..arrays import Pixels
from .encode import npy_bytes, png_bytes, to_pillow
from .exif_recipe import exif_of
from .whole import is_whole_npy, is_whole_picture

FORMATS = ("png", "jpeg", "webp", "npy")
"""By the names of ``--format``; a folder's files end in a dot and this name."""
SUFFIXES = (".png", ".npy", ".jpg", ".jpeg", ".webp")

QUALITY = 95
"""Of JPEG and WebP files, from 1 to 100."""


def image_bytes(image: Pixels, suffix: str, recipe: Mapping[str, Any], png_level: int | None = None) -> bytes:
    """The contents of a file of one image, uint8 (H, W, C), in the format of ``suffix``.

    ``png_level`` is zlib's level from 0 (fast) to 9 (small), None for zlib's default.
    """
    if suffix == ".png":
        return png_bytes(image, recipe, png_level)
    return npy_bytes(image) if suffix == ".npy" else _lossy_bytes(image, suffix, recipe)


def is_whole(path: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether a file is not cut off, and has, if any, this recipe."""
    return is_whole_npy(path) if path.suffix == ".npy" else is_whole_picture(path, recipe)


def _lossy_bytes(image: Pixels, suffix: str, recipe: Mapping[str, Any]) -> bytes:
    picture, buffer = to_pillow(image), io.BytesIO()
    kind = "WEBP" if suffix == ".webp" else "JPEG"
    if kind == "JPEG" and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    picture.save(buffer, kind, quality=QUALITY, exif=exif_of(recipe))
    return buffer.getvalue()
