"""VAE: the autoencoder of a latent model, from latents to images and back.

The latents of diffusers are the encoder's output, shifted and scaled to a standard deviation of about 1::

    latents = (encoded - shift)·scale,    decoded = decoder(latents/scale + shift)
"""

import functools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..arrays import Sample
from ..bundle.layout import VAE_DECODER, VAE_ENCODER, Component
from ..bundle.vae_config import VaeConfig
from ..diffusion.noise import Draw
from ..errors import BundleError, PredictionError
from ..images.tiling import tiled
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Session

_LOG_VARIANCE = (-30.0, 20.0)
_PARAMETERS = "latent_parameters"
"""The output of a variational encoder: mean and log variance, concatenated along the channels."""


class Vae:
    """The autoencoder's decoder and encoder. The encoder is opened at its first use.

    Raises BundleError or ProviderError if a graph cannot be opened.
    """

    def __init__(self, folder: Path, config: VaeConfig, sessions: Sessions) -> None:
        self.config, self._folder, self._sessions = config, folder, sessions
        self._decoder = self._open(VAE_DECODER)

    def decode(self, latents: Sample, *, tiles: bool = False, tile: int | None = None) -> Sample:
        """Decode latents, (B, C', H/f, W/f), to images in [-1, 1], or a little beyond, float32 (B, C, H, W).

        One at a time, so that images and memory do not depend on the batch; large ones in ``tiles`` if it is set.
        ``tile``: the side of a tile in pixels; None for the autoencoder's own.
        Raises PredictionError for NaN or infinity.
        """
        inner = latents / _per_channel(self.config.scale) + _per_channel(self.config.shift)
        run = functools.partial(self._run, self._decoder)
        if tiles:
            side, scale = (tile or self.config.tile) // self.config.factor, Fraction(self.config.factor)
            run = functools.partial(tiled, run, side=side, scale=scale)
        return np.concatenate([run(inner[index : index + 1]) for index in range(len(inner))])

    def encode(
        self, image: Sample, draw: Draw | None, *, tiles: bool = False, tile: int | None = None, scaled: bool = True
    ) -> Sample:
        """Encode an image in [-1, 1], float32 (1, C, H, W), to latents, float32 (1, C', H/f, W/f).

        A variational encoder's latents are drawn from its distribution with noise of ``draw``, as in diffusers'
        img2img; without ``draw`` they are its mean. Other encoders draw no noise. ``tiles`` and ``tile`` as in
        ``decode``. Without ``scaled`` they are the encoder's output as it is.
        """
        run = functools.partial(self._run, self._encoder)
        side, scale = tile or self.config.tile, Fraction(1, self.config.factor)
        output = tiled(run, image, side, scale) if tiles else run(image)
        if self.is_variational:
            output = _sampled(output, draw)
        if not scaled:
            return output
        latents: Sample = (output - _per_channel(self.config.shift)) * _per_channel(self.config.scale)
        return latents

    @property
    def is_variational(self) -> bool:
        """Whether the encoder returns a distribution, from which ``encode`` draws."""
        return _PARAMETERS in self._encoder.outputs

    @functools.cached_property
    def _encoder(self) -> Session:
        return self._open(VAE_ENCODER)

    def _open(self, component: Component) -> Session:
        path = self._folder / component.graph
        if not path.is_file():
            raise BundleError(f"{path} is missing, and this needs it: export or copy {component.name} again")
        return self._sessions.open(path, self._folder)

    def _run(self, session: Session, array: Sample) -> Sample:
        outputs = session.run({next(iter(session.inputs)): array})
        output: Sample = next(iter(outputs.values())).astype(np.float32, copy=False)
        if output.ndim != 4:
            raise BundleError(
                f"{session.name} returns the shape {output.shape}, and not that of images: export it again"
            )
        if not np.isfinite(output).all():
            raise PredictionError(
                f"{session.name} returned NaN or infinity: its precision is too low. Export it in fp32"
            )
        return output


def _sampled(parameters: Sample, draw: Draw | None) -> Sample:
    """A sample of the distribution with these parameters; without ``draw`` its mean."""
    mean, log_variance = np.split(parameters, 2, axis=1)
    if draw is None:
        return mean
    deviation = np.exp(np.clip(log_variance, *_LOG_VARIANCE) / 2).astype(np.float32)
    sampled: Sample = mean + deviation * draw(mean.shape)
    return sampled


def _per_channel(values: Sequence[float]) -> Sample:
    """One number per channel, for arrays (B, C, H, W)."""
    return np.array(values, np.float32).reshape(1, -1, 1, 1)
