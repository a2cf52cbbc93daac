"""The shape of one sample, without the batch, as the config.json of the network that denoises says it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import BundleError, shown
from .json_files import MAX_SIDE

_MOST_NUMBERS = 2**28
"""In a sample whose shape the config says."""


def read_sample_shape(config: Mapping[str, Any], path: Path) -> tuple[int, ...]:
    """The shape that the config at ``path`` says, else (C, H, W) of diffusers' keys. Raises BundleError."""
    shape = config.get("sample_shape")
    if shape is None:
        return image_like_shape(config, path)
    if not shape or math.prod(shape) > _MOST_NUMBERS:
        raise BundleError(
            f"{path}: sample_shape must have at least one axis, and at most "
            f"{_MOST_NUMBERS:,} numbers, unlike {shown(shape)}: export or copy it again"
        )
    return tuple(shape)


def image_like_shape(config: Mapping[str, Any], path: Path) -> tuple[int, int, int]:
    """(C, H, W) of diffusers' keys, of the config at ``path``. BundleError where they do not say it."""
    channels, size = config.get("in_channels"), config.get("sample_size")
    sides: Sequence[Any] = size if isinstance(size, Sequence) else (size, size)
    values = (channels, *sides)
    if len(values) != 3 or not all(isinstance(value, int) and 0 < value <= MAX_SIDE for value in values):
        raise BundleError(
            f"{path} must say in_channels and sample_size (a side, or height and width, of at "
            f"most {MAX_SIDE}), or sample_shape; it says {shown(channels)} and {shown(size)}: export or copy it again"
        )
    return values
