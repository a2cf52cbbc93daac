"""Opens picture files of known formats, with the number of pixels checked before they are decoded."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import ConfigError
from ..files import open_regular

FORMATS = ("PNG", "JPEG", "WEBP")
"""The formats of pictures that are read, in Pillow's names. Its other decoders are not used: that of EPS runs
Ghostscript."""

_ORIENTATION, _FIRST_TURNED = 0x0112, 5
"""EXIF's tag, and the first of its values that turn a picture by a quarter."""
MAX_PIXELS = 2**26
"""The largest picture that the command line and the Python API read: 8192x8192."""


@contextmanager
def open_picture(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Yield a picture that is not decoded yet. ConfigError for a file that cannot be read, here or in the block."""
    try:
        with warnings.catch_warnings(), open_regular(path) as file:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below replaces it
            with Image.open(file, formats=FORMATS) as picture:
                _check_size(picture)
                yield picture
    except ConfigError as error:
        raise ConfigError(f"{os.fspath(path)}: {error}") from None
    except FileNotFoundError:
        raise ConfigError(f"{os.fspath(path)} is not there") from None
    except UnidentifiedImageError:
        raise ConfigError(f"{os.fspath(path)} is not a picture in {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's decoders raise many kinds for a broken file
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ConfigError(f"{os.fspath(path)} is not a picture that can be read: {text}") from None


def decoded(picture: Image.Image) -> Image.Image:
    """The decoded picture, upright, with a palette or transparent colours resolved: a broken one fails here."""
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data:
        return upright.convert("RGBA")
    return upright.convert("RGB") if upright.mode == "P" else upright


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height of a picture that is not decoded yet, when it is turned upright."""
    turned = picture.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
    return (picture.height, picture.width) if turned else (picture.width, picture.height)


def _check_size(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise ConfigError(f"{picture.width}x{picture.height} pixels are over the limit of {MAX_PIXELS:,}")
