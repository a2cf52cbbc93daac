"""What a sample is: its shape, without the batch, for a UNet's config.json, and its meaning, for output.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ddim_edge.bundle.json_files import check_json_files
from ddim_edge.bundle.layout import OUTPUT
from ddim_edge.bundle.output import Output
from ddim_edge.errors import BundleError, ConfigError, shown

from .config_keys import Config
from .output.record import write_json

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


def shape_in(config: Config) -> Shape:
    """The shape that a config says. ConfigError where it says none."""
    size = config.get("sample_size")
    sides = size if isinstance(size, (list, tuple)) else [size, size]
    return read_shape("in_channels and sample_size", [config.get("in_channels"), *sides])


def write_output(folder: Path, output: Mapping[str, Any], shape: Shape) -> None:
    """Write output.json to the empty folder of a bundle. ConfigError where it does not fit samples of ``shape``."""
    write_json(folder / OUTPUT, output)
    try:
        check_json_files(folder)
        Output.read(folder, shape, has_autoencoder=False)
    except BundleError as error:
        raise ConfigError(str(error).replace(str(folder / OUTPUT), "output")) from None
