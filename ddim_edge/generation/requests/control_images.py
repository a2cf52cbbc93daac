"""Control images: what each ControlNet of a model is shown, and how strongly it acts."""

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
"""A picture's file, fitted to the model, or float32 (N, C, H, W) in [0, 1] of the size of the images."""


def with_controls(bundle: Bundle, request: Request, images: ControlImage | Sequence[ControlImage]) -> Request:
    """The request with control images, one for each ControlNet; ConfigError where there are more or fewer of them."""
    origin = request.origin or Origin()
    if origin.controls:
        raise ConfigError("the origin holds control images already: give them once")
    listed = [images] if isinstance(images, (str, os.PathLike, np.ndarray)) else images
    controls = control_samples(bundle, listed, bundle.image_shape(request.height, request.width))
    return dataclasses.replace(request, origin=dataclasses.replace(origin, controls=controls))


def control_samples(bundle: Bundle, images: Sequence[ControlImage], shape: Shape) -> tuple[Sample, ...]:
    """Control images as arrays; ``shape``: (C, H, W) of the model's images. ConfigError for what is none."""
    _check_count(bundle, len(images))
    return tuple(
        image if isinstance(image, np.ndarray) else read_control(image, (control.channels, *shape[1:]))
        for image, control in zip(images, bundle.controls, strict=True)
    )


def control_scales(bundle: Bundle, scale: float | Sequence[float] | None) -> tuple[float, ...]:
    """One strength for each ControlNet: 1 where nothing is said, and a single number for all of them."""
    if isinstance(scale, Sequence):
        return tuple(scale)
    if not bundle.controls:
        return () if scale is None else (scale,)
    return (1.0 if scale is None else scale,) * len(bundle.controls)


def check_controls(bundle: Bundle, request: Request) -> None:
    """Refuse control images and strengths that do not go with the model's ControlNets with ConfigError."""
    images = request.origin.controls if request.origin else ()
    count, scales = len(bundle.controls), len(request.control_scale)
    _check_count(bundle, len(images))
    if scales != count:
        raise ConfigError(
            f"{bundle.name} has {count} ControlNet{'s' * (count != 1)}, and control_scale is {scales} numbers: give "
            "one for each, or leave it out"
        )
    _, *sides = bundle.image_shape(request.height, request.width)
    for index, (image, control) in enumerate(zip(images, bundle.controls, strict=True)):
        check_array(control_name(index), image, (control.channels, sides[0], sides[1]))


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
