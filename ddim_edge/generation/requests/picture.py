"""The picture that a model takes beside the sample: what its further channels are made from."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from ...arrays import Sample, Shape
from ...bundle.bundle import Bundle
from ...config import whole_number
from ...errors import ConfigError
from ...images.decode import read_picture
from ...images.open_picture import open_picture, upright_size
from .origin import Origin, check_array
from .request import Request

Picture = str | os.PathLike[str] | Sample
"""The path of a picture, which is fitted to the model, or float32 (N, C, H, W) in [-1, 1]."""
NOISE_LEVEL = 20
"""The default level of a picture's noise, as in diffusers."""


def picture_shape(bundle: Bundle, height: int | None, width: int | None) -> Shape:
    """(C, H, W) of the picture for images of that size. ConfigError for a model that takes no picture."""
    part, (channels, *sides) = bundle.inputs.picture, bundle.image_shape(height, width)
    if part is None:
        raise ConfigError(
            f"{bundle.name} takes no picture beside the sample: leave images (--image) out; a picture to change is "
            "given as origin=Origin(image=…) (--init-image)"
        )
    if part.source == "latents":
        return channels, sides[0], sides[1]
    factor = bundle.vae.factor if bundle.vae else 1
    return part.channels, sides[0] // factor, sides[1] // factor


def picture_samples(
    bundle: Bundle, images: Picture | Sequence[Picture], height: int | None, width: int | None
) -> Sample:
    """Pictures as an array, fitted to images of that size. ConfigError for a file that cannot be read."""
    shape = picture_shape(bundle, height, width)
    listed = [images] if isinstance(images, (str, os.PathLike, np.ndarray)) else images
    if not listed:
        raise ConfigError("images is empty: give at least one picture")
    read = [image if isinstance(image, np.ndarray) else read_picture(image, shape) for image in listed]
    for array in read:
        check_array("images", array, shape)
    return np.concatenate(read)


def sides_of(
    bundle: Bundle, images: Picture | Sequence[Picture] | None, height: int | None, width: int | None
) -> tuple[int | None, int | None]:
    """Height and width of the images in pixels; None for the model's own.

    Where neither is given, they follow the picture: of an array, of a small picture that is enlarged, and of one that
    is measured, whose longer side becomes the model's own.
    """
    part = bundle.inputs.picture
    first = images if isinstance(images, (str, os.PathLike, np.ndarray)) else images[0] if images else None
    if part is None or first is None or (height, width) != (None, None):
        return height, width
    factor = bundle.vae.factor if bundle.vae and part.source != "latents" else 1
    if isinstance(first, np.ndarray):
        return (first.shape[-2] * factor, first.shape[-1] * factor) if first.ndim == 4 else (height, width)
    if part.source != "pixels" and not bundle.output.quantity:
        return height, width
    with open_picture(first) as picture:
        across, down = upright_size(picture)
    enlarged = factor if part.source == "pixels" else max(bundle.image_shape()[1:]) / max(across, down)
    unit = bundle.size_multiple
    return max(round(down * enlarged / unit), 1) * unit, max(round(across * enlarged / unit), 1) * unit


def with_picture(bundle: Bundle, request: Request, images: Picture | Sequence[Picture]) -> Request:
    """The request with a picture. ConfigError where it has one, or the model takes none."""
    origin = request.origin or Origin()
    if origin.picture is not None:
        raise ConfigError("the origin holds a picture already: leave images (--image) out")
    picture = picture_samples(bundle, images, request.height, request.width)
    return dataclasses.replace(request, origin=dataclasses.replace(origin, picture=picture))


def default_noise_level(bundle: Bundle, given: int | None) -> int | None:
    """The level of the picture's noise, by default diffusers'; None for a model that adds none."""
    if given is None and bundle.picture_noise is not None:
        return min(NOISE_LEVEL, bundle.picture_noise.highest)
    return given


def check_picture(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for a picture that is missing, is not taken, or does not fit."""
    picture, part = None if request.origin is None else request.origin.picture, bundle.inputs.picture
    if picture is not None:
        check_array("images", picture, picture_shape(bundle, request.height, request.width))
    elif part is not None:
        raise ConfigError(f"{bundle.name} takes a picture beside the sample, its {part.name}: give images (--image)")
    if part is not None and part.source == "depth" and picture is not None and picture.min() == picture.max():
        raise ConfigError("the depth map (--image) has the same depth everywhere: give another one")
    _check_noise(bundle, request.noise_level)


def _check_noise(bundle: Bundle, level: int | None) -> None:
    noise = bundle.picture_noise
    if noise is not None:
        whole_number("noise_level", level, low=0, high=noise.highest)
    elif level is not None:
        raise ConfigError(f"{bundle.name} adds no noise to a picture: leave noise_level (--noise-level) out")
