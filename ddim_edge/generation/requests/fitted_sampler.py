"""Fits a sampler's options to a model's network and to the size of its images, or says why they do not fit."""

import numpy as np

from ...bundle.bundle import Bundle
from ...config import FlowConfig, RealTimeConfig
from ...diffusion.samplers import SamplerConfig, schedule_of
from ...errors import ConfigError
from .request import Request

PATCH = 2
"""The side in latents of an image token: the models with a shift by resolution (SD3.5, Flux) patch 2 by 2."""


def fitted_sampler(bundle: Bundle, config: SamplerConfig, height: int | None, width: int | None) -> SamplerConfig:
    """``config`` with whole timesteps for a network that takes no others, and with the image's number of tokens."""
    if isinstance(config, RealTimeConfig) and not config.whole_timesteps and not bundle.takes_real_timesteps:
        return config.replace(whole_timesteps=True)
    if isinstance(config, FlowConfig) and config.use_dynamic_shifting and config.image_seq_len is None:
        shape = bundle.sample_shape_for(height, width)
        if len(shape) == 3:
            return config.replace(image_seq_len=max(1, shape[1] // PATCH * (shape[2] // PATCH)))
    return config


def check_variance(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for a learned variance where the network predicts none."""
    if request.sampler.takes_variance and not bundle.inputs.predicts_variance:
        raise ConfigError(
            f"the sampler takes a learned variance, and the network of {bundle.name} predicts none (its out_channels "
            "would be twice its in_channels): take variance_type fixed_small, or another sampler"
        )


def check_timesteps(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for fractional timesteps where the network takes whole ones alone."""
    timesteps = schedule_of(request.sampler, request.num_steps, request.strength).timesteps
    if timesteps.dtype == np.int64 or np.all(timesteps == np.round(timesteps)) or bundle.takes_real_timesteps:
        return
    fraction = float(timesteps[timesteps != np.round(timesteps)][0])
    raise ConfigError(
        f"{request.sampler.name} feeds the network fractional timesteps, such as {fraction:.6g}, and that of "
        f"{bundle.name} takes whole numbers alone: `ddim-edge upgrade {bundle.name}`, or export the model again"
    )
