"""The images of IP-Adapters, and their scales."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from ...arrays import Pixels, Sample
from ...bundle.bundle import Bundle
from ...errors import ConfigError, shown
from ...images.decode import read_pixels
from .origin import Origin, check_array, ip_adapter_image_name
from .request import Request

PromptImage = str | os.PathLike[str] | Pixels | Sample
"""The path of a picture; its pixels, uint8 (H, W, C); or float32 (N, 3, side, side) as the image encoder takes it."""


def with_ip_adapter_images(bundle: Bundle, request: Request, images: PromptImage | Sequence[PromptImage]) -> Request:
    """The request with an image for each IP-Adapter; ConfigError for another number of them."""
    origin = request.origin or Origin()
    if origin.ip_adapter_images:
        raise ConfigError("the origin holds the adapters' images already: leave ip_adapter_images out")
    prepared = prepared_images(bundle, [images] if isinstance(images, (str, os.PathLike, np.ndarray)) else images)
    return dataclasses.replace(request, origin=dataclasses.replace(origin, ip_adapter_images=prepared))


def prepared_images(bundle: Bundle, images: Sequence[PromptImage]) -> tuple[Sample, ...]:
    """The images as the encoder takes them; ConfigError for a wrong number or file."""
    _check_count(bundle, len(images))
    return tuple(_prepared(bundle, image) for image in images)


def ip_adapter_scales(bundle: Bundle, scale: float | Sequence[float] | None, *, has_images: bool) -> tuple[float, ...]:
    """One scale for each adapter: by default 1; a single number is used for all of them. None without images."""
    if isinstance(scale, Sequence) and len(scale) != 1:
        return tuple(scale)
    scale = scale[0] if isinstance(scale, Sequence) else scale
    if not has_images or not bundle.image_prompts.adapters:
        return () if scale is None else (scale,)
    return (1.0 if scale is None else scale,) * len(bundle.image_prompts.adapters)


def check_ip_adapters(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for images and scales that do not fit the model's adapters."""
    images, scales = request.origin.ip_adapter_images if request.origin else (), len(request.ip_adapter_scale)
    if images:
        _check_count(bundle, len(images))
    elif scales:
        raise ConfigError("ip_adapter_scale needs an image: give ip_adapter_images (--ip-adapter-image), too")
    if scales != len(images):
        raise ConfigError(
            f"{_adapters_of(bundle)}, and ip_adapter_scale has {scales} numbers: give one for each, or leave it out"
        )
    for index, image in enumerate(images):
        check_array(ip_adapter_image_name(index), image, (3, bundle.image_prompts.side, bundle.image_prompts.side))


def _prepared(bundle: Bundle, image: PromptImage) -> Sample:
    given = image if isinstance(image, np.ndarray) else read_pixels(image)
    if given.dtype != np.uint8:
        return given.astype(np.float32, copy=False)
    pixels = given.astype(np.uint8, copy=False)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size:
        raise ConfigError(f"an image for an IP-Adapter must be uint8 (H, W, 3), not {shown(pixels.shape)}")
    return bundle.image_prompts.preprocessor(pixels)


def _check_count(bundle: Bundle, images: int) -> None:
    count = len(bundle.image_prompts.adapters)
    if images and not count:
        raise ConfigError(
            f"{bundle.name} has no IP-Adapter: leave ip_adapter_images (--ip-adapter-image) out, or export it with "
            "--ip-adapter"
        )
    if images not in (0, count):
        raise ConfigError(
            f"{_adapters_of(bundle)}: give an image (--ip-adapter-image) for each, in their order, or none; given: "
            f"{images}"
        )


def _adapters_of(bundle: Bundle) -> str:
    names = [adapter.name for adapter in bundle.image_prompts.adapters]
    return f"{bundle.name} has {len(names)} IP-Adapter{'s' * (len(names) != 1)} ({', '.join(names)})"
