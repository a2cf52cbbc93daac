"""Samplers: generators that yield what they want to know and are sent the network's answer."""

import functools

from ..config import DdimConfig, SamplerConfig
from ..schedule import DdimSchedule, Sample
from .ddim import ddim
from .query import NoiseSource, Query, Sampler

__all__ = ["NoiseSource", "Query", "Sampler", "ddim", "start"]


def start(config: SamplerConfig, num_steps: int, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Return the generator of the sampler that ``config`` is for; see ``ddim`` for the arguments."""
    return ddim(_schedule(config, num_steps), sample, noise)


@functools.lru_cache(maxsize=64)
def _schedule(config: DdimConfig, num_steps: int) -> DdimSchedule:
    return DdimSchedule(config, num_steps)
