"""DDIM inversion: from an image to the x_T from which DDIM generates it again (DDIM, section 4.3 and 5.4).

Without noise, eq. 12 is an Euler step of the ODE in eq. 14, with σ(t) = sqrt((1-ᾱ_t)/ᾱ_t) for time::

    d(x/sqrt(ᾱ)) = ε(x, t) dσ

which can be integrated in either direction. Towards more noise, from t to the next t'::

    x_t' / sqrt(ᾱ_t') = x_t / sqrt(ᾱ_t) + (σ(t') - σ(t))·ε(x_t, t)

The network's timestep is t', as in eq. 12 on the way back, although the noise level of the sample is that of t.
Therefore the two directions undo each other up to the error of a step, which falls with the number of steps (table 2).
"""

from typing import NamedTuple

import numpy as np

from ...arrays import Sample
from ..levels import Levels
from ..schedule import alpha_bars, final_alpha_bar, prediction_columns, select_timesteps
from .ddim_coefficients import DdimConfig
from .query import Query, Sampler
from .weights import Weights, weight_rows, weighted_sum


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, and in the noisier sample."""

    x0: Weights
    next: Weights


def invertible(config: DdimConfig) -> DdimConfig:
    """``config`` for inversion as in the paper: evenly spaced timesteps, ``next`` transition, no noise, no clipping."""
    return config.replace(
        eta=0.0,
        clip_denoised_sample=False,
        dynamic_threshold_ratio=None,
        timestep_spacing="leading",
        transition="next",
    )


class InverseSchedule:
    """The steps of DDIM over ``num_steps`` timesteps, in reverse; see ``DdimSchedule`` for the attributes.

    ``timesteps`` ascend; ``levels`` are those of the sample in each query, ``end`` is ᾱ of the result.
    """

    def __init__(self, config: DdimConfig, num_steps: int) -> None:
        table = alpha_bars(config)
        self.timesteps = select_timesteps(config, num_steps)[::-1]
        then = table[self.timesteps]
        now = np.append(final_alpha_bar(config, table), then[:-1])
        self.levels = Levels.preserving(now)
        self.end = float(then[-1])
        # At ᾱ = 1 an image has no ε: the first prediction is converted with ᾱ of the first timestep.
        x0_x, x0_p, eps_x, eps_p = prediction_columns(config, Levels.preserving(np.append(then[:1], then[:-1])))
        signal = np.sqrt(then / now)
        direction = np.sqrt(1 - then) - signal * np.sqrt(1 - now)
        following = weight_rows(signal + direction * eps_x, direction * eps_p)
        self.rows = [Row(*row) for row in zip(weight_rows(x0_x, x0_p), following, strict=True)]


def ddim_inverse(schedule: InverseSchedule, sample: Sample) -> Sampler:
    """From x_0, float32 of any shape, to the x_T at ᾱ = ``schedule.end``."""
    denoised = None
    for timestep, row in zip(schedule.timesteps.tolist(), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction)
        sample = weighted_sum(row.next, sample, prediction)
    return sample
