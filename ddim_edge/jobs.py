"""From a request to the engine's jobs: one an image."""

from functools import partial

import numpy as np

from .bundle import Bundle
from .denoiser import Conditioning
from .engine import Job
from .guidance import guided_timesteps
from .noise import noise_stream
from .origin import Origin, row
from .request import Request
from .samplers import Sampler, schedule_of, start
from .samplers.query import NoiseSource
from .samplers.repair import noised, repair


def job_of(bundle: Bundle, request: Request, index: int) -> Job:
    """The job that makes image ``index`` of ``request``."""
    shape = (1, *bundle.sample_shape)
    draw = partial(noise_stream(request.seed + index, request.noise), shape)
    guided = request.guidance_scale != 1
    return Job(
        sampler=_sampler(request, index, draw),
        conditioning=condition(request.label(index)),
        unconditional=condition(bundle.null_class) if guided else None,
        guidance_scale=request.guidance_scale,
        guidance_rescale=request.guidance_rescale,
        guided_timesteps=guided_timesteps(request.sampler, request.guidance_interval) if guided else None,
    )


def condition(label: int | None) -> Conditioning:
    """What a UNet is told of a class; nothing for a model without classes."""
    return {} if label is None else {"class_labels": np.array([label])}


def _sampler(request: Request, index: int, draw: NoiseSource) -> Sampler:
    """From noise, from latents, or from an image at the noise level of the first step that is made."""
    origin = request.origin or Origin()
    begin = partial(start, request.sampler, request.num_steps)
    if origin.image is None:
        return begin(draw() if origin.latents is None else row(origin.latents, index), draw)
    levels = schedule_of(request.sampler, request.num_steps, request.strength).levels
    image, noise = row(origin.image, index), draw()
    sampler = begin(noised(image, noise, float(levels[0])), draw, request.strength)
    return sampler if origin.mask is None else repair(sampler, levels, image, noise, ~origin.mask)
