"""Decodes pictures of strangers: PNG, JPEG and WebP only, bounded in pixels, scans and frames before it decodes.

Memory and time are bounded by the process that this runs in: ``runtime/workers/upload_decoder.py``.
"""

import io
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..arrays import Pixels, Shape
from ..errors import ConfigError
from .clip_preprocessor import ClipPreprocessor
from .decode import fit_pixels, in_mode
from .open_picture import FORMATS, decoded

_MAX_SCANS = 100
"""Of a progressive JPEG; usual are 10. Each is a pass over all pixels, and may be a few bytes long."""
_MAX_FRAMES = 100
"""Of an animation, or of a camera's file with several pictures; the first one is decoded."""
_SCAN = b"\xff\xda"


class UploadError(ConfigError):
    """An uploaded picture that cannot be used; ``param`` is "image", "mask" or "ip_adapter_image"."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}")
        self.param = param


class Upload(NamedTuple):
    """A decoded picture in the model's size, uint8 (H, W, C), and where to repaint it, bool (H, W)."""

    image: Pixels
    mask: NDArray[np.bool_] | None


def decode_upload(image: bytes, mask: bytes | None, shape: Shape, max_pixels: int) -> Upload:
    """Decode an uploaded picture for a model of ``shape`` (C, H, W). Raises UploadError, and MemoryError.

    The mask follows OpenAI: it has the image's size, and the image is repainted where the mask is transparent.
    """
    picture = _decode(image, "image", max_pixels)
    repainted = None if mask is None else _transparent(_decode(mask, "mask", max_pixels), picture.size, shape)
    return Upload(fit_pixels(picture, shape), repainted)


def decode_for_encoder(image: bytes, fitting: ClipPreprocessor, max_pixels: int) -> Pixels:
    """Decode an uploaded picture for an IP-Adapter: uint8 (side, side, 3). Raises UploadError, and MemoryError."""
    return fitting.fitted(in_mode(_decode(image, "ip_adapter_image", max_pixels), "RGB"))


def _decode(contents: bytes, param: str, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below replaces it
            picture = Image.open(io.BytesIO(contents), formats=FORMATS)
        _check_size(picture, contents, param, max_pixels)
        return decoded(picture)
    except UploadError:
        raise
    except UnidentifiedImageError:
        raise UploadError(param, f"not a picture in {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's plugins raise many kinds
        if isinstance(error, MemoryError) or "out of memory" in str(error):
            raise MemoryError from None
        raise UploadError(param, f"the file cannot be decoded ({type(error).__name__})") from None


def _check_size(picture: Image.Image, contents: bytes, param: str, max_pixels: int) -> None:
    if picture.width * picture.height > max_pixels:
        size = f"{picture.width}x{picture.height}"
        raise UploadError(param, f"{size} is over this server's limit of {max_pixels} pixels")
    if getattr(picture, "n_frames", 1) > _MAX_FRAMES:
        raise UploadError(param, f"it has more than {_MAX_FRAMES} frames; send a single picture")
    if picture.format in ("JPEG", "MPO") and contents.count(_SCAN) > _MAX_SCANS:
        raise UploadError(param, f"it has more than {_MAX_SCANS} scans; save it as a baseline JPEG")


def _transparent(mask: Image.Image, size: tuple[int, int], shape: Shape) -> NDArray[np.bool_]:
    """Where the mask is transparent, cropped and scaled like the image, bool (H, W)."""
    if mask.size != size:
        expected = f"expected the image's size {size[0]}x{size[1]}"
        raise UploadError("mask", f"{mask.width}x{mask.height} pixels, but {expected}")
    if not mask.has_transparency_data:
        raise UploadError("mask", "it has no transparency; make the part to repaint transparent")
    alpha = mask.convert("RGBA").getchannel("A")
    fitted = ImageOps.fit(alpha, (shape[2], shape[1]), Image.Resampling.BOX)
    return np.asarray(fitted) < 128
