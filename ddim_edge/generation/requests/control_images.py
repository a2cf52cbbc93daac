"""Control images: the input image and the strength of each ControlNet."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from ...arrays import Sample, Shape
from ...bundle.bundle import Bundle
from ...errors import ConfigError
from ...images.decode import read_control
from .origin import Origin, check_array, control_name
from .request import Request

ControlImage = str | os.PathLike[str] | Sample
"""The path of a picture, which is fitted to the model, or float32 (N, C, H, W) in [0, 1] of the images' size."""


def with_controls(bundle: Bundle, request: Request, images: ControlImage | Sequence[ControlImage]) -> Request:
    """The request with control images, one for each ControlNet; ConfigError for another number of them."""
    origin = request.origin or Origin()
    if origin.controls:
        raise ConfigError("the origin holds control images already: leave control_images (--control-image) out")
    listed = [images] if isinstance(images, (str, os.PathLike, np.ndarray)) else images
    controls = control_samples(bundle, listed, bundle.image_shape(request.height, request.width))
    return dataclasses.replace(request, origin=dataclasses.replace(origin, controls=controls))


def control_samples(bundle: Bundle, images: Sequence[ControlImage], shape: Shape) -> tuple[Sample, ...]:
    """Control images as arrays; ``shape``: (C, H, W) of the model's images. ConfigError for a wrong number or file."""
    _check_count(bundle, len(images))
    return tuple(
        image if isinstance(image, np.ndarray) else read_control(image, (control.channels, *shape[1:]))
        for image, control in zip(images, bundle.controls, strict=True)
    )


def control_scales(bundle: Bundle, scale: float | Sequence[float] | None) -> tuple[float, ...]:
    """One strength for each ControlNet: by default 1; a single number is used for all of them."""
    if isinstance(scale, Sequence):
        return tuple(scale)
    if not bundle.controls:
        return () if scale is None else (scale,)
    return (1.0 if scale is None else scale,) * len(bundle.controls)


def check_controls(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for control images and strengths that do not fit the model's ControlNets."""
    images = request.origin.controls if request.origin else ()
    count, scales = len(bundle.controls), len(request.control_scale)
    _check_count(bundle, len(images))
    if scales and not count:
        raise ConfigError(f"{bundle.name} has no ControlNet: leave control_scale (--control-scale) out")
    if scales != count:
        raise ConfigError(
            f"{bundle.name} has {count} ControlNet{'s' * (count != 1)}, and control_scale has {scales} numbers: give "
            "one for each, or leave it out"
        )
    for index, (image, control) in enumerate(zip(images, bundle.controls, strict=True)):
        _, height, width = bundle.image_shape(request.height, request.width)
        check_array(control_name(index), image, (control.channels, height, width))


def _check_count(bundle: Bundle, images: int) -> None:
    count = len(bundle.controls)
    if images and not count:
        raise ConfigError(f"{bundle.name} has no ControlNet: leave control_images (--control-image) out")
    if count and not images:
        raise ConfigError(
            f"{bundle.name} has a ControlNet, which needs an image: give control_images (--control-image)"
        )
    if images != count:
        raise ConfigError(
            f"{bundle.name} has {count} ControlNet{'s' * (count != 1)}, and there are {images} control images "
            "(--control-image): give one for each, in their order"
        )
