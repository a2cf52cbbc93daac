"""The autoencoder of a latent model: from latents to images, and back.

What diffusers calls latents are the encoder's, shifted and scaled to a deviation of about 1::

    latents = (encoded - shift)·scale,    decoded = decoder(latents/scale + shift)
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from .config import read_json
from .errors import BundleError, ConfigError, PredictionError
from .noise import Draw
from .schedule import Sample
from .session import Session
from .sessions import Sessions
from .tiling import tiled

_LOG_VARIANCE = (-30.0, 20.0)
_USUAL_SCALE = 0.18215
_USUAL_TILE = 512
_PARAMETERS = "latent_parameters"
"""The output of a variational encoder: mean and logarithm of the variance, side by side."""


@dataclass(frozen=True)
class VaeConfig:
    """What the autoencoder's config.json says.

    Attributes:
        factor: how many pixels along each side a latent stands for.
        channels: of the latents.
        image_channels: of the images.
        scale, shift: as the module says; one number each, or one for every channel.
        tile: the side of a tile, in pixels; an image no larger than it is never tiled.
    """

    factor: int
    channels: int
    image_channels: int
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    tile: int = _USUAL_TILE

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the autoencoder's config in a bundle; None where the model has none. BundleError for a broken one."""
        if not (folder / "vae_decoder" / "model.onnx").is_file():
            return None
        places = [folder / name / "config.json" for name in ("vae_decoder", "vae", "vqvae")]
        path = next((place for place in places if place.is_file()), places[0])
        try:
            return cls.from_json(read_json(path))
        except (ConfigError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path} does not describe an autoencoder ({error}): export it again") from None

    @classmethod
    def from_json(cls, keys: Mapping[str, Any]) -> Self:
        """Read diffusers' keys: of AutoencoderKL, AutoencoderTiny or VQModel."""
        levels = keys.get("num_decoder_blocks") or keys["block_out_channels"]
        scale, mean, deviation = _scale(keys), keys.get("latents_mean"), keys.get("latents_std")
        if mean is None or deviation is None:
            mean, deviation = [float(keys.get("shift_factor") or 0)], [1.0]
        return cls(
            factor=int(2 ** (len(levels) - 1)),
            channels=int(keys.get("vq_embed_dim") or keys["latent_channels"]),
            image_channels=int(keys.get("out_channels", 3)),
            scale=tuple(scale / value for value in deviation),
            shift=tuple(float(value) for value in mean),
            tile=_tile(keys, 4 * 2 ** (len(levels) - 1)),
        )


def _scale(keys: Mapping[str, Any]) -> float:
    value = keys.get("scaling_factor")
    if value is None:
        return 1.0 if "num_decoder_blocks" in keys else _USUAL_SCALE
    if not float(value) > 0:
        raise ValueError(f"scaling_factor must be above 0, not {value!r}")
    return float(value)


def _tile(keys: Mapping[str, Any], multiple: int) -> int:
    """The side of the images that it was trained on, where its file says so; a quarter of it must be whole latents."""
    side = keys.get("sample_size") or _USUAL_TILE
    pixels = int(side if not isinstance(side, Sequence) else min(side))
    return max(pixels - pixels % multiple, multiple)


class Vae:
    """The autoencoder's graphs. The encoder is opened when it is first needed.

    Raises BundleError or ProviderError where a graph cannot be opened.
    """

    def __init__(self, folder: Path, config: VaeConfig, sessions: Sessions) -> None:
        self.config, self._folder, self._sessions = config, folder, sessions
        self._decoder = self._open("vae_decoder")

    def decode(self, latents: Sample, *, tiles: bool = False) -> Sample:
        """Images in [-1, 1], or a little beyond, float32 (B, C, H, W), of latents (B, C', H/f, W/f).

        One at a time: an image does not depend on those beside it, and neither does the memory. Large ones in
        ``tiles``, where that is wanted. Raises PredictionError for NaN.
        """
        inner = latents / _column(self.config.scale) + _column(self.config.shift)
        run = functools.partial(self._run, self._decoder)
        if tiles:
            side, scale = self.config.tile // self.config.factor, Fraction(self.config.factor)
            run = functools.partial(tiled, run, side=side, scale=scale)
        return np.concatenate([run(inner[index : index + 1]) for index in range(len(inner))])

    def encode(self, image: Sample, draw: Draw, *, tiles: bool = False) -> Sample:
        """Latents, float32 (1, C', H/f, W/f), of an image in [-1, 1], float32 (1, C, H, W).

        They are drawn from the encoder's distribution with noise of ``draw``, as diffusers' img2img does, not its mean;
        an encoder that gives one answer draws nothing. ``tiles`` as in ``decode``.
        """
        run = functools.partial(self._run, self._encoder)
        output = tiled(run, image, self.config.tile, Fraction(1, self.config.factor)) if tiles else run(image)
        if self.is_drawn:
            mean, log_variance = np.split(output, 2, axis=1)
            deviation = np.exp(np.clip(log_variance, *_LOG_VARIANCE) / 2).astype(np.float32)
            output = mean + deviation * draw(mean.shape)
        latents: Sample = (output - _column(self.config.shift)) * _column(self.config.scale)
        return latents

    @property
    def is_drawn(self) -> bool:
        """Whether ``encode`` draws from a distribution."""
        return _PARAMETERS in self._encoder.outputs

    @functools.cached_property
    def _encoder(self) -> Session:
        return self._open("vae_encoder")

    def _open(self, name: str) -> Session:
        path = self._folder / name / "model.onnx"
        if not path.is_file():
            raise BundleError(f"{path} is missing, and this needs it: export or copy {name} again")
        return self._sessions.open(path, self._folder)

    def _run(self, session: Session, array: Sample) -> Sample:
        outputs = session.run({next(iter(session.inputs)): array})
        output: Sample = next(iter(outputs.values())).astype(np.float32, copy=False)
        if not np.isfinite(output).all():
            raise PredictionError(
                f"{session.name} returned NaN or infinity: its precision is at fault. Export it in fp32"
            )
        return output


def _column(values: Sequence[float]) -> Sample:
    """One number a channel, for arrays (B, C, H, W)."""
    return np.array(values, np.float32).reshape(1, -1, 1, 1)
