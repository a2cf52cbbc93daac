"""Samplers: generators that yield what they want to know and are sent the network's answer."""

import functools

from ...arrays import Sample
from ...config import (
    DdimConfig,
    DdpmConfig,
    DpmppConfig,
    EulerAncestralConfig,
    EulerConfig,
    LcmConfig,
    PndmConfig,
    SamplerConfig,
)
from .ddim import DdimSchedule, ddim
from .ddpm import DdpmSchedule, ddpm
from .dpmpp import DpmppSchedule, dpmpp_2m
from .euler import EulerSchedule, euler
from .lcm import LcmSchedule, lcm
from .pndm import PndmSchedule, pndm
from .query import NoiseSource, Query, Sampler, Schedule
from .unipc import UnipcSchedule, unipc

__all__ = [
    "DdimSchedule",
    "NoiseSource",
    "Query",
    "Sampler",
    "Schedule",
    "ddim",
    "first_sample",
    "schedule_of",
    "start",
]


@functools.lru_cache(maxsize=64)
def schedule_of(config: SamplerConfig, num_steps: int, strength: float = 1.0) -> Schedule:
    """The table of the sampler that ``config`` is for; ConfigError where it cannot make so many steps.

    Its ``timesteps`` are what the network is fed, so their number is the number of network calls.
    """
    match config:
        case DdimConfig():
            return DdimSchedule(config, num_steps, strength)
        case DdpmConfig():
            return DdpmSchedule(config, num_steps, strength)
        case PndmConfig():
            return PndmSchedule(config, num_steps, strength)
        case LcmConfig():
            return LcmSchedule(config, num_steps, strength)
        case EulerConfig() | EulerAncestralConfig():
            return EulerSchedule(config, num_steps, strength)
        case DpmppConfig():
            return DpmppSchedule(config, num_steps, strength)
        case _:
            return UnipcSchedule(config, num_steps, strength)


def first_sample(config: SamplerConfig, num_steps: int, noise: Sample) -> Sample:
    """x_T as diffusers makes it of standard normal ``noise``, float32 of any shape: mostly, ``noise`` itself."""
    schedule = schedule_of(config, num_steps)
    return schedule.first_sample(noise) if isinstance(schedule, EulerSchedule) else noise


def start(
    config: SamplerConfig,
    num_steps: int,
    sample: Sample,
    noise: NoiseSource | None = None,
    strength: float = 1.0,
) -> Sampler:
    """Return the generator of the sampler that ``config`` is for.

    ``sample``: x_T, float32 of any shape; with a ``strength`` below 1, an image at the noise level of the first of the
    steps that are left. ``noise`` is required by samplers that add fresh noise. Raises ConfigError where the sampler
    cannot make so many steps.
    """
    match schedule_of(config, num_steps, strength):
        case DdimSchedule() as schedule:
            return ddim(schedule, sample, noise)
        case DdpmSchedule() as schedule:
            return ddpm(schedule, sample, noise)
        case PndmSchedule() as schedule:
            return pndm(schedule, sample)
        case LcmSchedule() as schedule:
            return lcm(schedule, sample, noise)
        case EulerSchedule() as schedule:
            return euler(schedule, sample, noise)
        case DpmppSchedule() as schedule:
            return dpmpp_2m(schedule, sample)
        case UnipcSchedule() as schedule:
            return unipc(schedule, sample)
    raise AssertionError("schedule_of returns no other schedule")
