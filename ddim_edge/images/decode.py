"""Reads input pictures in PNG, JPEG and WebP, and fits them to the model's size and channels.

A picture is turned upright (EXIF orientation), transparency becomes black, colours become the model's (grey, RGB or
RGBA), the centre is cropped to the model's aspect ratio, and the result is resized (Lanczos). A mask is never resized:
it must have the model's size. Its pixels lighter than middle grey are repainted.
"""

import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..arrays import Pixels, Sample, Shape
from ..config.json_file import parse_json
from ..errors import ConfigError, shown
from .encode import check_channels, recipe_text_in
from .open_picture import decoded, open_picture

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_picture(path: str | os.PathLike[str], shape: Shape) -> Sample:
    """Read a picture file as a sample in [-1, 1], float32 (1, C, H, W).

    ConfigError where it cannot be read, and for a sheet of several images, which its recipe tells of.
    """
    check_channels(shape[0])
    with open_picture(path) as picture:
        upright = decoded(picture)
        _check_no_sheet(picture, shape)
    return fit_picture(upright, shape)


def _check_no_sheet(picture: Image.Image, shape: Shape) -> None:
    """Raise ConfigError for a sheet that this package wrote. A part cut out of one may still have its recipe."""
    try:
        recipe = parse_json(recipe_text_in(picture) or "{}", "the recipe")
    except ConfigError:
        return
    count, one = recipe.get("num_images", 1), (recipe.get("width", shape[2]), recipe.get("height", shape[1]))
    if count != 1 and "index" not in recipe and picture.size != one:
        raise ConfigError(
            f"it is a sheet of {shown(count)} images, not one: make it with --num-images 1, or write its images to a "
            "folder (--output images/) and take one"
        )


def read_control(path: str | os.PathLike[str], shape: Shape) -> Sample:
    """Read a picture file as a control image in [0, 1], float32 (1, C, H, W). ConfigError where it cannot be read."""
    check_channels(shape[0])
    return to_control(fit_pixels(_open(path), shape))


def read_pixels(path: str | os.PathLike[str]) -> Pixels:
    """Read a picture file at its own size, uint8 (H, W, 3). ConfigError where it cannot be read."""
    return np.asarray(in_mode(_open(path), "RGB"))


def fit_picture(picture: Image.Image, shape: Shape) -> Sample:
    """Fit an upright picture to a model with 1, 3 or 4 channels: a sample in [-1, 1], float32 (1, C, H, W)."""
    return to_sample(fit_pixels(picture, shape))


def fit_pixels(picture: Image.Image, shape: Shape) -> Pixels:
    """Fit an upright picture to a model of ``shape`` (C, H, W) with 1, 3 or 4 channels: uint8 (H, W, C)."""
    channels, height, width = shape
    fitted = ImageOps.fit(in_mode(picture, _MODES[channels]), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted).reshape(height, width, channels)


def to_sample(pixels: Pixels) -> Sample:
    """Convert pixels, uint8 (H, W, C), to a sample in [-1, 1], float32 (1, C, H, W)."""
    return _planes(pixels) / 127.5 - 1


def to_control(pixels: Pixels) -> Sample:
    """Convert pixels, uint8 (H, W, C), to a control image in [0, 1], float32 (1, C, H, W)."""
    return _planes(pixels) / np.float32(255)


def _planes(pixels: Pixels) -> Sample:
    return pixels.astype(np.float32).transpose(2, 0, 1)[None].copy()


def read_mask(path: str | os.PathLike[str], shape: Shape) -> NDArray[np.bool_]:
    """Read a mask file: True where it is white, bool (1, 1, H, W). ConfigError where its size is not the model's."""
    picture = _open(path)
    check_mask_size(picture, path, shape)
    return (np.asarray(in_mode(picture, "L")) > 127)[None, None]


def check_mask_size(picture: Image.Image, path: str | os.PathLike[str], shape: Shape) -> None:
    """Raise ConfigError for a mask whose size is not that of images of ``shape`` (C, H, W)."""
    _, height, width = shape
    if picture.size != (width, height):
        raise ConfigError(
            f"the mask {path} has {picture.width}x{picture.height} pixels, and the model's images have "
            f"{width}x{height}: make it that size"
        )


def _open(path: str | os.PathLike[str]) -> Image.Image:
    with open_picture(path) as picture:
        return decoded(picture)


def in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in grey (L), RGB or RGBA; what is transparent becomes black where the mode has no transparency."""
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.has_transparency_data and mode != "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture.convert("RGBA"))
    return picture.convert(mode)
