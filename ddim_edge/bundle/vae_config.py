"""VAE config: read from the config.json of a bundle's autoencoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..config import read_json
from ..errors import BundleError, ConfigError, shown
from .layout import CONFIG, VAE_DECODER

_DEFAULT_SCALE = 0.18215
_DEFAULT_TILE = 512


@dataclass(frozen=True)
class VaeConfig:
    """The settings of an autoencoder.

    Attributes:
        factor: pixels per latent along each side.
        channels: number of channels of the latents.
        image_channels: number of channels of the images.
        scale, shift: of the latents, as in ``networks/vae.py``; one number each, or one per channel.
        tile: the side of a tile, in pixels; an image that is not larger is never tiled.
    """

    factor: int
    channels: int
    image_channels: int
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    tile: int = _DEFAULT_TILE

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the autoencoder's config in a bundle; None if the model has none. BundleError for a broken one."""
        if not VAE_DECODER.is_in(folder):
            return None
        places = [folder / name / CONFIG for name in (VAE_DECODER.name, *VAE_DECODER.other_config_folders)]
        path = next((place for place in places if place.is_file()), places[0])
        try:
            return cls.from_json(read_json(path))
        except (ConfigError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path} does not describe an autoencoder ({error}): export it again") from None

    @classmethod
    def from_json(cls, keys: Mapping[str, Any]) -> Self:
        """Read diffusers' keys: of AutoencoderKL, AutoencoderTiny or VQModel."""
        levels = keys.get("num_decoder_blocks") or keys["block_out_channels"]
        if not levels:
            raise ValueError("block_out_channels is empty")
        scale, mean, deviation = _scale(keys), keys.get("latents_mean"), keys.get("latents_std")
        if mean is None or deviation is None:
            mean, deviation = [float(keys.get("shift_factor") or 0)], [1.0]
        channels = int(keys.get("vq_embed_dim") or keys["latent_channels"])
        if len(mean) not in (1, channels) or len(deviation) not in (1, channels):
            raise ValueError(f"latents_mean and latents_std must have {channels} numbers each, one per channel")
        return cls(
            factor=int(2 ** (len(levels) - 1)),
            channels=channels,
            image_channels=int(keys.get("out_channels", 3)),
            scale=tuple(scale / value for value in deviation),
            shift=tuple(float(value) for value in mean),
            tile=_tile(keys, 4 * 2 ** (len(levels) - 1)),
        )


def _scale(keys: Mapping[str, Any]) -> float:
    value = keys.get("scaling_factor")
    if value is None:
        return 1.0 if "num_decoder_blocks" in keys else _DEFAULT_SCALE
    if not float(value) > 0:
        raise ValueError(f"scaling_factor must be above 0, not {shown(value)}")
    return float(value)


def _tile(keys: Mapping[str, Any], multiple: int) -> int:
    """The side of the images that it was trained on, by default 512; a quarter of it must be whole latents."""
    side = keys.get("sample_size") or _DEFAULT_TILE
    pixels = int(side if not isinstance(side, Sequence) else min(side))
    return max(pixels - pixels % multiple, multiple)
