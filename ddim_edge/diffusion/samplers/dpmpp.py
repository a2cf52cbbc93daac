"""DPM-Solver++(2M) (Lu et al. 2022, https://arxiv.org/abs/2211.01095, algorithm 2).

In log-SNR time λ, with h = λ_t' - λ_t the length of this step, h_0 that of the one before, and m_0, m_1 the predicted
x_0 of this call and of the one before::

    x_t' = noise'/noise·x_t - signal'·(e^-h - 1)·D,    D = m_0 + h/(2·h_0)·(m_0 - m_1)

The first step has D = m_0, so it is a step of DDIM. The last one has, too, if it goes to ᾱ = 1 or if there are few
steps.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Floats, Sample
from ...config import OdeSolverConfig
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import prediction_columns
from .levels import ode_levels_of
from .query import NoiseSource, Query, Sampler, times
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class DpmppConfig(OdeSolverConfig):
    """Options of DPM-Solver++(2M) (Lu et al. 2022, https://arxiv.org/abs/2211.01095).

    ``lower_order_final`` has an effect below 15 steps; a step to σ = 0 is always of first order.
    """

    name: ClassVar[str] = "dpmpp-2m"
    summary: ClassVar[str] = "second-order multistep in log-SNR time (Lu et al. 2022)"
    scheduler_class: ClassVar[str] = "DPMSolverMultistepScheduler"
    truncates_cosine_timesteps: ClassVar[bool] = True


FEW_STEPS = 15
"""``lower_order_final`` has an effect below this number of steps."""


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, then those of (x_t, m_0, m_1) in x_t'."""

    x0: Weights
    next: Weights


class DpmppSchedule:
    """DPM-Solver++(2M) over ``num_steps`` steps; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: DpmppConfig, num_steps: int, strength: float = 1.0) -> None:
        self.timesteps, levels = ode_levels_of(config, num_steps, strength)
        self.levels = levels[:-1]
        second_order = np.ones(len(self.levels))
        second_order[0] = 0
        if config.final_sigma == "zero" or (config.lower_order_final and num_steps < FEW_STEPS):
            second_order[-1] = 0
        x0, following = prediction_columns(config, self.levels)[:2], _weights(levels, second_order)
        self.rows = [Row(*row) for row in zip(weight_rows(*x0), weight_rows(*following), strict=True)]
        self.limit = limit_of(config)


def dpmpp_2m(schedule: DpmppSchedule, sample: Sample, _noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape. Deterministic: takes no noise."""
    before: Sample | None = None
    for timestep, row in zip(times(schedule.timesteps), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, before)
        denoised = weighted_sum(row.x0, sample, prediction)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        sample = weighted_sum(row.next, sample, denoised, before)
        before = denoised
    return sample


def _weights(levels: Levels, second_order: Floats) -> tuple[Floats, Floats, Floats]:
    """The weights of x_t, m_0 and m_1, from the S+1 ends of the steps; ``second_order``: 1 or 0 per step."""
    h = np.diff(levels.half_log_snr)
    gain = -levels.signal[1:] * np.expm1(-h)
    with np.errstate(invalid="ignore"):
        ratio = np.append(0.0, h[1:] / h[:-1])
    share = np.where(second_order == 1, ratio / 2, 0.0)
    return levels.noise[1:] / levels.noise[:-1], gain * (1 + share), -gain * share
