"""The formats of files: PNG, JPEG and WebP for images, .npy and .npz for samples. All but .npy have the recipe."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..arrays import Array, Pixels
from ..errors import ConfigError
from .encode import npy_bytes, png_bytes, to_pillow
from .exif_recipe import exif_of
from .npz import npz_bytes
from .whole import is_whole_npy, is_whole_npz, is_whole_picture

FORMATS = ("png", "jpeg", "webp", "npy", "npz")
"""By the names of ``--format``; a folder's files end in a dot and this name."""
SUFFIXES = (".png", ".npy", ".npz", ".jpg", ".jpeg", ".webp")
ARRAY_SUFFIXES = (".npy", ".npz")
"""Of the files that hold samples, float32, instead of images."""

QUALITY = 95
"""Of JPEG and WebP files, from 1 to 100."""


def images_of(images: Pixels | None) -> Pixels:
    """The images of a model; ConfigError where there are none, because it makes arrays."""
    if images is None:
        raise ConfigError("this model makes arrays, and no images: take its samples, which .npy and .npz files hold")
    return images


def check_holds_arrays(model: str, suffix: str) -> None:
    """Raise ConfigError for files of that suffix, in which ``model`` cannot write its arrays."""
    if suffix not in ARRAY_SUFFIXES:
        raise ConfigError(
            f"{model} makes arrays, which a {suffix} file cannot hold: take {' or '.join(ARRAY_SUFFIXES)} (--format)"
        )


def image_bytes(image: Array, suffix: str, recipe: Mapping[str, Any], png_level: int | None = None) -> bytes:
    """The contents of a file of one image, uint8 (H, W, C), in the format of ``suffix``; of arrays for .npy and .npz.

    ``png_level`` is zlib's level from 0 (fast) to 9 (small), None for zlib's default.
    """
    if suffix == ".png":
        return png_bytes(image, recipe, png_level)
    if suffix == ".npz":
        return npz_bytes(image, recipe)
    return npy_bytes(image) if suffix == ".npy" else _lossy_bytes(image, suffix, recipe)


def is_whole(path: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether a file is not cut off, and has, if any, this recipe."""
    if path.suffix == ".npz":
        return is_whole_npz(path, recipe)
    return is_whole_npy(path) if path.suffix == ".npy" else is_whole_picture(path, recipe)


def _lossy_bytes(image: Pixels, suffix: str, recipe: Mapping[str, Any]) -> bytes:
    picture, buffer = to_pillow(image), io.BytesIO()
    kind = "WEBP" if suffix == ".webp" else "JPEG"
    if kind == "JPEG" and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    picture.save(buffer, kind, quality=QUALITY, exif=exif_of(recipe))
    return buffer.getvalue()
