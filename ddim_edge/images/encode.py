"""Encodes pictures: samples to pixels, grids, PNG files with a recipe inside, .npy files, GIF animations."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from ..arrays import Pixels, Sample
from ..config.json_file import parse_json
from ..errors import ConfigError
from .exif_recipe import recipe_in_exif
from .open_picture import open_picture

RECIPE_KEY = "ddim-edge"
_PNG_HEADER = 33
"""Bytes of a PNG file's signature and its first chunk, IHDR; what stands before the pixels may follow it."""


def to_pixels(sample: Sample) -> Pixels:
    """Convert samples in [-1, 1], float32 (B, C, H, W), to pixels, uint8 (B, H, W, C), rounded as in diffusers."""
    unit = np.clip(sample / 2 + 0.5, 0, 1).transpose(0, 2, 3, 1)
    return np.round(unit * 255).astype(np.uint8)


def grid(images: Pixels) -> Pixels:
    """Arrange images, uint8 (N, H, W, C), in a nearly square grid, uint8 (H', W', C), row by row, on black."""
    count, height, width, channels = images.shape
    rows, columns = grid_shape(count)
    sheet = np.zeros((rows * columns, height, width, channels), np.uint8)
    sheet[:count] = images
    tiles = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return tiles.reshape(rows * height, columns * width, channels)


def grid_shape(count: int) -> tuple[int, int]:
    """The numbers of rows and columns of a grid of ``count`` images."""
    columns = math.ceil(math.sqrt(count))
    return math.ceil(count / columns), columns


def enlarged(images: Pixels, factor: int) -> Pixels:
    """Repeat each pixel of images, uint8 (N, H, W, C), ``factor`` times in height and width (nearest neighbour)."""
    return images if factor == 1 else images.repeat(factor, axis=1).repeat(factor, axis=2)


def to_pillow(image: Pixels) -> Image.Image:
    """Convert one image, uint8 (H, W, C), to Pillow's. ConfigError unless it has 1, 3 or 4 channels."""
    check_channels(image.shape[2])
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def check_channels(channels: int) -> None:
    """ConfigError for a number of channels that no picture has."""
    if channels not in (1, 3, 4):
        raise ConfigError(f"a picture has 1, 3 or 4 channels, not {channels}: save as npy instead")


def png_bytes(image: Pixels, recipe: Mapping[str, Any] | None, level: int | None = None) -> bytes:
    """The contents of a PNG file: one image, uint8 (H, W, C), and ``recipe`` as JSON in the text chunk "ddim-edge".

    ``recipe``: None for a file without one. ``level`` is zlib's level from 0 (fast) to 9 (small), None for its default.
    """
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, "PNG", compress_level=-1 if level is None else level)
    return buffer.getvalue() if recipe is None else png_with_recipe(buffer.getvalue(), recipe)


def png_with_recipe(file: bytes, recipe: Mapping[str, Any]) -> bytes:
    """A PNG file of ``png_bytes`` that had no recipe, with ``recipe``."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt(RECIPE_KEY, recipe_text(recipe))
    chunk = io.BytesIO()
    for name, contents, *_ in text.chunks:
        PngImagePlugin.putchunk(chunk, name, contents)
    return file[:_PNG_HEADER] + chunk.getvalue() + file[_PNG_HEADER:]


def recipe_text(recipe: Mapping[str, Any]) -> str:
    """A recipe as JSON that can be read; with escapes where the model's folder has a name that is no UTF-8."""
    text = json.dumps(recipe, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(recipe)
    return text


def npy_bytes(images: NDArray[Any]) -> bytes:
    """The contents of a .npy file of an array."""
    buffer = io.BytesIO()
    np.save(buffer, images)
    return buffer.getvalue()


def gif_bytes(frames: Sequence[Pixels], frame_ms: int = 60, last_ms: int = 1500) -> bytes:
    """The contents of a GIF animation of frames, each uint8 (H, W, C). The last frame is shown for ``last_ms``."""
    first, *others = [to_pillow(frame) for frame in frames]
    durations = [frame_ms] * len(others) + [last_ms]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return buffer.getvalue()


def read_recipe(path: Path) -> Mapping[str, Any]:
    """Read the recipe from a PNG, JPEG or WebP file that this package wrote. ConfigError for any other file."""
    with open_picture(path) as picture:
        picture.load()  # a PNG's text may stand behind its pixels
        text = recipe_text_in(picture)
    if text is None:
        raise ConfigError(f"{path} has no recipe: only PNG, JPEG and WebP files written by ddim-edge have one")
    return parse_json(text, f"the recipe in {path}")


def recipe_text_in(picture: Image.Image) -> str | None:
    """The JSON of the recipe in a picture; None where it has none, or has not been read so far."""
    if picture.format != "PNG":
        return recipe_in_exif(picture)
    text = picture.info.get(RECIPE_KEY)
    return text if isinstance(text, str) else None
