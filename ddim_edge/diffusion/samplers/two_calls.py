"""Steps of two network calls, as in Heun's and the midpoint method.

The first call's slope leads to a second sample, and with the slope there the step is made. The last step of a run makes
one call and is Euler's: its end can have no noise, and then the slope has no value there.
"""

from typing import NamedTuple

import numpy as np

from ...arrays import Floats, Sample
from ...config import SamplerOptions
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import prediction_columns
from .query import NoiseSource, Query, Sampler, Times, required, times
from .slopes import slope_rows
from .weights import Weights, weight_rows, weighted_sum


class Call(NamedTuple):
    """One call: the weights of (sample, prediction) in x_0, of (sample, prediction, x_0) in the slope, and the next.

    The next sample is a sum of the step's start and slope, after a second call of the start, both slopes, and noise.
    """

    timestep: float
    x0: Weights
    slope: Weights
    next: Weights


class TwoCallSchedule:
    """A run of S steps as 2·S - 1 calls; see ``DdimSchedule`` for the attributes.

    ``timesteps`` and ``levels`` are those of the calls, ``first`` and ``second`` the weights after them: S and S - 1.
    """

    def __init__(
        self, config: SamplerOptions, timesteps: Times, levels: Levels, first: list[Weights], second: list[Weights]
    ) -> None:
        self.config, self.timesteps, self.levels, self.limit = config, timesteps, levels, limit_of(config)
        x0, slopes = weight_rows(*prediction_columns(config, levels)[:2]), slope_rows(config, levels)
        following = [row for pair in zip(first, second, strict=False) for row in pair] + first[-1:]
        self.calls = [Call(*row) for row in zip(times(timesteps), x0, slopes, following, strict=True)]

    def read(self, call: Call, sample: Sample, prediction: Sample) -> tuple[Sample, Sample]:
        """x_0 and the slope at a call."""
        denoised = weighted_sum(call.x0, sample, prediction)
        if self.limit:
            denoised = self.limit(denoised)
        return denoised, weighted_sum(call.slope, sample, prediction, denoised)


def two_calls_a_step(schedule: TwoCallSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called at every step that adds fresh noise."""
    denoised: Sample | None = None
    for first, second in zip(schedule.calls[:-1:2], schedule.calls[1::2], strict=True):
        denoised, begin = schedule.read(first, sample, (yield Query(sample, first.timestep, denoised)))
        between = weighted_sum(first.next, sample, begin)
        denoised, end = schedule.read(second, between, (yield Query(between, second.timestep, denoised)))
        fresh = required(noise, schedule.config.name)() if second.next[-1] else None
        sample = weighted_sum(second.next, sample, begin, end, fresh)
    last = schedule.calls[-1]
    _, slope = schedule.read(last, sample, (yield Query(sample, last.timestep, denoised)))
    return weighted_sum(last.next, sample, slope)


def interleaved(first: Times, second: Times) -> Floats:
    """One value a call from those of the first calls (S,) and of the second ones (S - 1,)."""
    values = np.empty(len(first) + len(second))
    values[::2], values[1::2] = first, second
    return values


def interleaved_levels(first: Levels, second: Levels) -> Levels:
    """The level of each call, from those of the first calls and of the second ones."""
    return Levels(interleaved(first.signal, second.signal), interleaved(first.noise, second.noise))


def euler_rows(scale: Floats, end_scale: Floats, length: Floats) -> list[Weights]:
    """The weights of (x, slope) in Euler's step: y' = y + length·slope."""
    return weight_rows(end_scale / scale, end_scale * length)
