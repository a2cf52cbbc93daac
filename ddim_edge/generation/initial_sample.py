"""Where an image's sampling begins: at noise, at latents, or at an image with noise on it."""

from functools import partial
from typing import NamedTuple

import numpy as np

from ..arrays import Conditioning, Sample
from ..diffusion.noise import Draw
from ..diffusion.samplers import NoiseSource, Sampler, first_sample, schedule_of, start
from ..diffusion.samplers.inpaint import Mask, add_noise, inpaint
from ..networks.denoiser import EXTRA_CHANNELS
from ..networks.vae import Vae
from .requests.origin import Origin, row
from .requests.request import Request


class Start(NamedTuple):
    """A sampler at its beginning, and what the network is told of the image that it repaints."""

    sampler: Sampler
    extra: Conditioning


def starting_point(
    request: Request, index: int, stream: Draw, shape: tuple[int, int, int], vae: Vae | None, *, repaints: bool
) -> Start:
    """Where image ``index`` of ``request`` begins.

    ``stream``: the image's noise. ``shape``: (C, H, W) of its sample. ``repaints``: whether the network takes the mask.
    With an autoencoder, what is drawn is drawn in the order of diffusers' pipelines.
    """
    draw = partial(stream, (1, *shape))
    origin = request.origin or Origin()
    if origin.image is None:
        sample = draw() if origin.latents is None else row(origin.latents, index)
        return Start(_all_new(request, sample, draw), {})
    image = row(origin.image, index)
    if vae is None:
        return Start(_change(request, image, draw(), origin.mask, draw), {})
    if repaints:
        return _repaint(request, image, origin.mask, draw, stream, vae)
    latents, noise = vae.encode(image, stream, tiles=request.vae_tiling), draw()
    if origin.mask is None:
        return Start(_change(request, latents, noise, None, draw), {})
    if vae.is_drawn:
        draw()  # diffusers encodes the masked image, too, whether the network takes it or not
    mask = _shrunk(origin.mask, vae)
    begun = _all_new(request, noise, draw) if request.strength == 1 else None
    return Start(_change(request, latents, noise, mask, draw, begun), {})


def _change(
    request: Request,
    image: Sample,
    noise: Sample,
    mask: Mask | None,
    draw: NoiseSource,
    sampler: Sampler | None = None,
) -> Sampler:
    """From ``image`` at the noise level of the first step that is made, unless ``sampler`` has begun elsewhere."""
    levels = schedule_of(request.sampler, request.num_steps, request.strength).levels
    if sampler is None:
        begin = add_noise(image, noise, float(levels[0]))
        sampler = start(request.sampler, request.num_steps, begin, draw, request.strength)
    return sampler if mask is None else inpaint(sampler, levels, image, noise, ~mask)


def _repaint(request: Request, image: Sample, mask: Mask | None, draw: NoiseSource, stream: Draw, vae: Vae) -> Start:
    """For a network that takes, after the sample, the mask and the latents of the image without what is masked."""
    assert mask is not None
    if request.strength == 1:
        sampler = _all_new(request, draw(), draw)
    else:
        latents = vae.encode(image, stream, tiles=request.vae_tiling)
        sampler = _change(request, latents, draw(), None, draw)
    masked = vae.encode(np.where(mask, np.float32(0), image), stream, tiles=request.vae_tiling)
    extra = np.concatenate([_shrunk(mask, vae).astype(np.float32), masked], axis=1)
    return Start(sampler, {EXTRA_CHANNELS: extra})


def _all_new(request: Request, noise: Sample, draw: NoiseSource) -> Sampler:
    """At strength 1 nothing of the image is in the first sample."""
    begin = first_sample(request.sampler, request.num_steps, noise)
    return start(request.sampler, request.num_steps, begin, draw)


def _shrunk(mask: Mask, vae: Vae) -> Mask:
    """The mask at the latents' size: the first pixel of each block stands for it, as diffusers has it."""
    factor = vae.config.factor
    return mask[..., ::factor, ::factor]
