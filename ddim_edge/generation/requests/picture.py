"""The picture that a model takes beside the sample: what its further channels are made from."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from ...arrays import Sample, Shape
from ...bundle.bundle import Bundle
from ...errors import ConfigError
from ...images.decode import read_picture
from .origin import Origin, check_array
from .request import Request

Picture = str | os.PathLike[str] | Sample
"""The path of a picture, which is fitted to the model, or float32 (N, C, H, W) in [-1, 1]."""


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


def with_picture(bundle: Bundle, request: Request, images: Picture | Sequence[Picture]) -> Request:
    """The request with a picture. ConfigError where it has one, or the model takes none."""
    origin = request.origin or Origin()
    if origin.picture is not None:
        raise ConfigError("the origin holds a picture already: leave images (--image) out")
    picture = picture_samples(bundle, images, request.height, request.width)
    return dataclasses.replace(request, origin=dataclasses.replace(origin, picture=picture))


def check_picture(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for a picture that is missing, is not taken, or does not fit."""
    picture = None if request.origin is None else request.origin.picture
    if picture is not None:
        check_array("images", picture, picture_shape(bundle, request.height, request.width))
    elif bundle.inputs.picture is not None:
        raise ConfigError(f"{bundle.name} takes a picture beside the sample: give images (--image)")
