"""Picture channels: the values of a UNet's channels behind the sample's, made from the pictures of a request."""

import numpy as np

from ..arrays import Conditioning, Sample
from ..bundle.conditioning_channels import ConditioningChannels
from ..diffusion.noise import Draw
from ..diffusion.samplers.inpaint import Mask
from ..networks.row import EXTRA_CHANNELS
from ..networks.vae import Vae
from .requests.origin import Origin, row_for_image
from .requests.request import Request

Parts = tuple[ConditioningChannels, ...]


def picture_channels(request: Request, index: int, parts: Parts, stream: Draw, vae: Vae | None) -> Conditioning:
    """The values for image ``index``, float32 (1, C, H, W), by their name in a conditioning; empty without channels.

    ``stream``: the image's noise, for masked latents that a variational encoder draws, as in diffusers.
    """
    if not parts:
        return {}
    origin = request.origin or Origin()
    arrays = [_values(request, index, part, origin, stream, vae) for part in parts]
    return {EXTRA_CHANNELS: arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)}


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
    request: Request, index: int, part: ConditioningChannels, origin: Origin, stream: Draw, vae: Vae | None
) -> Sample:
    assert vae is not None
    tiles, tile = request.vae_tiling, request.vae_tile
    if part.source == "latents":
        assert origin.picture is not None
        picture = row_for_image(origin.picture, index)
        return vae.encode(picture, None, tiles=tiles, tile=tile, scaled=part.scaled)
    assert origin.mask is not None
    if part.source == "mask":
        return latent_mask(origin.mask, vae).astype(np.float32)
    assert origin.image is not None
    masked = np.where(origin.mask, np.float32(0), row_for_image(origin.image, index))
    return vae.encode(masked, stream, tiles=tiles, tile=tile)
