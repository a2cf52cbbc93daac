"""Decodes uploaded pictures: only known formats, with the number of pixels checked before decoding."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ...arrays import Shape
from ...generation.requests.origin import Origin
from ...images.decode import fit_picture
from ...images.open_picture import FORMATS
from ..errors import BadRequest


def decode_origin(image: bytes, mask: bytes | None, shape: Shape, max_pixels: int) -> Origin:
    """The Origin from uploaded files for a model of ``shape`` (C, H, W); raises BadRequest for unsuitable files.

    The mask follows OpenAI: it has the image's size, and the image is repainted where the mask is transparent.
    """
    picture = _decode(image, "image", max_pixels)
    mask_pixels = None if mask is None else _transparent_pixels(_decode(mask, "mask", max_pixels), picture.size, shape)
    return Origin(image=fit_picture(picture, shape), mask=mask_pixels)


def _decode(contents: bytes, param: str, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below replaces it
            picture = Image.open(io.BytesIO(contents), formats=FORMATS)
        if picture.width * picture.height > max_pixels:
            size = f"{picture.width}x{picture.height}"
            raise BadRequest(f"{param}: {size} is over this server's limit of {max_pixels} pixels", param=param)
        picture.load()
        return ImageOps.exif_transpose(picture)
    except UnidentifiedImageError:
        raise BadRequest(f"{param}: not a picture in {', '.join(FORMATS)}", param=param) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, MemoryError) as error:
        raise BadRequest(f"{param}: the file cannot be decoded ({type(error).__name__})", param=param) from None


def _transparent_pixels(mask: Image.Image, size: tuple[int, int], shape: Shape) -> NDArray[np.bool_]:
    """Where the mask is transparent, cropped and scaled like the image, bool (1, 1, H, W)."""
    if mask.size != size:
        message = f"mask: {mask.width}x{mask.height} pixels, but expected the image's size {size[0]}x{size[1]}"
        raise BadRequest(message, param="mask")
    if not mask.has_transparency_data:
        raise BadRequest("mask: it has no transparency; make the part to repaint transparent", param="mask")
    alpha = mask.convert("RGBA").getchannel("A")
    fitted = ImageOps.fit(alpha, (shape[2], shape[1]), Image.Resampling.BOX)
    return (np.asarray(fitted) < 128)[None, None]
