"""Picture channels: the values of a UNet's channels behind the sample's, made from the pictures of a request."""

import numpy as np

from ..arrays import Conditioning, Sample
from ..bundle.bundle import Bundle
from ..bundle.conditioning_channels import ConditioningChannels
from ..bundle.layout import CLASS_INPUT
from ..diffusion.noise import Draw
from ..diffusion.samplers.inpaint import Mask, add_noise
from ..networks.row import EXTRA_CHANNELS
from ..networks.vae import Vae
from .requests.origin import Origin, row_for_image
from .requests.request import Request

Parts = tuple[ConditioningChannels, ...]


def picture_channels(bundle: Bundle, request: Request, index: int, stream: Draw, vae: Vae | None) -> Conditioning:
    """The values for image ``index``, float32 (1, C, H, W), by their name in a conditioning; empty without channels.

    With them is the class label that says how much noise was added. ``stream``: the image's noise; masked latents of a
    variational encoder are drawn from it, too, as in diffusers.
    """
    parts = bundle.inputs.channels
    if not parts:
        return {}
    origin = request.origin or Origin()
    arrays = [_values(bundle, request, index, part, origin, stream, vae) for part in parts]
    made: Conditioning = {EXTRA_CHANNELS: arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)}
    return made if request.noise_level is None else {**made, CLASS_INPUT: np.array([request.noise_level])}


def without_guided(parts: Parts, made: Conditioning) -> Conditioning:
    """The same with zeros in the channels that guidance leaves out."""
    values, first = made[EXTRA_CHANNELS].copy(), 0
    for part in parts:
        if part.guided:
            values[:, first : first + part.channels] = 0
        first += part.channels
    return {EXTRA_CHANNELS: values}


def latent_mask(mask: Mask, vae: Vae) -> Mask:
    """The mask at the latents' size: the first pixel of each block, as in diffusers."""
    factor = vae.config.factor
    return mask[..., ::factor, ::factor]


def _values(
    bundle: Bundle,
    request: Request,
    index: int,
    part: ConditioningChannels,
    origin: Origin,
    stream: Draw,
    vae: Vae | None,
) -> Sample:
    assert vae is not None
    tiles, tile = request.vae_tiling, request.vae_tile
    if part is bundle.inputs.picture:
        assert origin.picture is not None
        picture = row_for_image(origin.picture, index)
        if part.source == "latents":
            return vae.encode(picture, None, tiles=tiles, tile=tile, scaled=part.scaled)
        return _stretched(picture) if part.source == "depth" else _noised(bundle, request, picture, stream)
    assert origin.mask is not None
    if part.source == "mask":
        return latent_mask(origin.mask, vae).astype(np.float32)
    assert origin.image is not None
    masked = np.where(origin.mask, np.float32(0), row_for_image(origin.image, index))
    return vae.encode(masked, stream, tiles=tiles, tile=tile)


def _stretched(depth: Sample) -> Sample:
    """A depth map from -1 to 1."""
    low, high = depth.min(), depth.max()
    stretched: Sample = np.float32(2) * (depth - low) / (high - low) - np.float32(1)
    return stretched


def _noised(bundle: Bundle, request: Request, picture: Sample, stream: Draw) -> Sample:
    """A small picture with the noise of its level, for an upscaler that takes one."""
    if bundle.picture_noise is None or request.noise_level is None:
        return picture
    level = bundle.picture_noise.level(request.noise_level)
    return add_noise(picture, stream(picture.shape), level).astype(np.float32)
