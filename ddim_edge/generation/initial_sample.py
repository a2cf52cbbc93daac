"""Initial sample: starts an image's sampler from noise, from latents, or from an image with noise added."""

from functools import partial

from ..arrays import Sample
from ..diffusion.noise import Draw
from ..diffusion.samplers import NoiseSource, Sampler, first_sample, schedule_of, start
from ..diffusion.samplers.cfg_plus_plus import cfg_plus_plus, noise_weights
from ..diffusion.samplers.inpaint import Mask, add_noise, inpaint
from ..networks.vae import Vae
from .picture_channels import latent_mask
from .requests.origin import Origin, row_for_image
from .requests.request import Request


def start_sampler(
    request: Request, index: int, stream: Draw, shape: tuple[int, ...], vae: Vae | None, *, takes_mask: bool
) -> Sampler:
    """Create the sampler of image ``index``, with its initial sample.

    ``stream``: the image's noise. ``shape``: of its sample, without the batch. ``takes_mask``: as in ``UnetInputs``.
    With an autoencoder, noise is drawn in the order of diffusers' pipelines.
    """
    draw = partial(stream, (1, *shape))
    origin = request.origin or Origin()
    if origin.image is None:
        sample = draw() if origin.latents is None else row_for_image(origin.latents, index)
        return _from_noise(request, sample, draw)
    image = row_for_image(origin.image, index)
    if vae is None:
        return _from_image(request, image, draw(), origin.mask, draw)
    if takes_mask and request.strength == 1:
        return _from_noise(request, draw(), draw)
    latents, noise = vae.encode(image, stream, tiles=request.vae_tiling, tile=request.vae_tile), draw()
    if origin.mask is None or takes_mask:
        return _from_image(request, latents, noise, None, draw)
    if vae.is_variational:
        draw()  # diffusers always encodes the masked image, too, which draws noise
    mask = latent_mask(origin.mask, vae)
    started = _from_noise(request, noise, draw) if request.strength == 1 else None
    return _from_image(request, latents, noise, mask, draw, started)


def _from_image(
    request: Request,
    image: Sample,
    noise: Sample,
    mask: Mask | None,
    draw: NoiseSource,
    sampler: Sampler | None = None,
) -> Sampler:
    """Start at ``image`` with the noise of the first step, unless ``sampler`` is given; inpaint if there is a mask."""
    levels = schedule_of(request.sampler, request.num_steps, request.strength).levels
    if sampler is None:
        begin = add_noise(image, noise, levels[0])
        sampler = _start(request, begin, draw, request.strength)
    return sampler if mask is None else inpaint(sampler, levels, image, noise, ~mask)


def _from_noise(request: Request, noise: Sample, draw: NoiseSource) -> Sampler:
    """Start from noise, or latents, alone: also for an image at strength 1, of which nothing is kept."""
    begin = first_sample(request.sampler, request.num_steps, noise)
    return _start(request, begin, draw)


def _start(request: Request, sample: Sample, draw: NoiseSource, strength: float = 1.0) -> Sampler:
    sampler = start(request.sampler, request.num_steps, sample, draw, strength)
    if request.guidance_mode == "cfg":
        return sampler
    schedule = schedule_of(request.sampler, request.num_steps, strength)
    return cfg_plus_plus(sampler, noise_weights(request.sampler, schedule))
