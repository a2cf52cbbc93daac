"""DDIM (Song, Meng, Ermon 2020, https://arxiv.org/abs/2010.02502).

Eq. 12, with t' the timestep after t in the run and σ from eq. 16::

    x_t' = sqrt(ᾱ_t')·x_0(x_t) + sqrt(1-ᾱ_t'-σ²)·ε(x_t) + σ·z,    z ~ N(0, I)
"""

from ..schedule import DdimSchedule, Sample
from .query import NoiseSource, Query, Sampler


def ddim(schedule: DdimSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called once a step where σ > 0, and required there."""
    denoised = None
    for step, timestep in enumerate(schedule.timesteps.tolist()):
        prediction = yield Query(sample, timestep, denoised)
        fresh = noise() if noise is not None and schedule.is_stochastic(step) else None
        sample, denoised = schedule.step(step, sample, prediction, fresh)
    return sample
