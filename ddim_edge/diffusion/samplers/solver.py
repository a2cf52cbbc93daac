"""A run of a solver in log-SNR time: each step is a weighted sum of a sample and of the latest predictions.

A multistep solver steps from the latest sample with the predictions of earlier steps. A singlestep solver makes blocks
of calls: every call of a block steps anew from the block's first sample, further each time.
"""

from typing import NamedTuple

import numpy as np

from ...arrays import Sample
from ...config import SamplerOptions
from ..clipping import limit_of
from ..schedule import prediction_columns
from .query import NoiseSource, Query, Run, Sampler, required, times
from .weights import Weights, aligned_like, weight_rows, weighted_sum


class Row(NamedTuple):
    """One call: the weights of (x, prediction) in x_0, of (x, prediction, x_0) in ε, and of the next sample.

    ``eps`` is empty where the solver integrates x_0. The next sample is a sum of the block's first sample, the latest
    predicted x_0 or ε (the latest first), and fresh noise.
    """

    timestep: float
    x0: Weights
    eps: Weights
    next: Weights


class SolverSchedule:
    """The run of a solver; see ``DdimSchedule`` for the attributes. ``blocks`` has the rows, ``rows`` all in order.

    ``following``: the weights of each call's next sample. ``starts``: whether a call begins a block.
    """

    def __init__(
        self,
        config: SamplerOptions,
        run: Run,
        following: list[Weights],
        *,
        integrates_noise: bool = False,
        starts: list[bool] | None = None,
    ) -> None:
        self.timesteps, self.levels = run.timesteps, run.levels[:-1]
        self.config, self.limit = config, limit_of(config)
        calls = call_rows(config, run, integrates_noise=integrates_noise)
        self.rows = [Row(*call, weights) for call, weights in zip(calls, following, strict=True)]
        self.blocks = _blocks(self.rows, starts or [True] * len(self.rows))
        self.depth = len(following[0]) - 2


def call_rows(config: SamplerOptions, run: Run, *, integrates_noise: bool) -> list[tuple[float, Weights, Weights]]:
    """Per call: its timestep, the weights of (x, prediction) in x_0, and those of (x, prediction, x_0) in ε or none.

    Where x_0 is limited, ε is that of the limited x_0. Where it is not, it is made of the prediction: as the difference
    of x and x_0 it would have few digits where there is little noise.
    """
    levels = run.levels[:-1]
    x0_x, x0_p, eps_x, eps_p = prediction_columns(config, levels)
    if limit_of(config):
        eps = weight_rows(1 / levels.noise, 0 * eps_p, -levels.signal / levels.noise)
    else:
        eps = weight_rows(eps_x, eps_p, 0 * eps_p)
    used = eps if integrates_noise else [()] * len(eps)
    return list(zip(times(run.timesteps), weight_rows(x0_x, x0_p), used, strict=True))


def _blocks(rows: list[Row], starts: list[bool]) -> list[list[Row]]:
    first = np.flatnonzero(starts).tolist()
    return [rows[start:end] for start, end in zip(first, [*first[1:], len(rows)], strict=True)]


def solve(schedule: SolverSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called at every step that adds fresh noise."""
    product, *history = aligned_like(sample, 1 + schedule.depth)
    denoised: Sample | None = None
    latest: list[Sample | None] = [*history]
    for block in schedule.blocks:
        start = sample
        for row in block:
            prediction = yield Query(sample, row.timestep, denoised)
            denoised = weighted_sum(row.x0, sample, prediction, product=product)
            if schedule.limit:
                denoised = schedule.limit(denoised)
            integrated = denoised
            if row.eps:
                integrated = weighted_sum(row.eps, sample, prediction, denoised, into=latest[-1], product=product)
            latest = [integrated, *latest[:-1]]
            fresh = required(noise, schedule.config.name)() if row.next[-1] else None
            sample = weighted_sum(row.next, start, *latest, fresh, product=product)
    return sample
