"""The shape of one sample, without the batch: how it is given, and how a UNet's config.json says it."""

from collections.abc import Sequence
from typing import Any

from ddim_edge.errors import ConfigError, shown

from .config_keys import Config

SAMPLE_SHAPE = "sample_shape"
"""The key of unet/config.json, for samples that are not (C, H, W)."""
IMAGE_RANK = 3

Shape = tuple[int, ...]


def read_shape(name: str, value: Any) -> Shape:
    """A shape as whole numbers. ConfigError that begins with ``name``."""
    lengths = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else None
    if not lengths or not all(type(length) is int and length > 0 for length in lengths):
        raise ConfigError(
            f"{name}: the shape of a sample is whole numbers of at least 1, without the batch, not {shown(value)}"
        )
    return tuple(lengths)


def config_with_shape(config: Config, shape: Shape) -> Config:
    """The config with the shape of a sample: diffusers' two keys for (C, H, W), ``sample_shape`` for other ranks."""
    if len(shape) == IMAGE_RANK and SAMPLE_SHAPE not in config:
        return {**config, "in_channels": shape[0], "sample_size": list(shape[1:])}
    return {**config, SAMPLE_SHAPE: list(shape)}
