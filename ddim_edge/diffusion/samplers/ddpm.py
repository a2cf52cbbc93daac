"""DDPM's ancestral sampling (Ho, Jain, Abbeel 2020, https://arxiv.org/abs/2006.11239).

The posterior q(x_t' | x_t, x_0) with the predicted x_0, eq. 6 and 7, for any t' before t, with β = 1 - ᾱ_t/ᾱ_t'::

    x_t' = sqrt(ᾱ_t')·β/(1-ᾱ_t)·x_0(x_t) + sqrt(1-β)·(1-ᾱ_t')/(1-ᾱ_t)·x_t + σ·z,    z ~ N(0, I)

Small variance: σ² = (1-ᾱ_t')/(1-ᾱ_t)·β, the posterior's own. Large: σ² = β, which is σ̂ of DDIM's section 5. The last
step adds no noise.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Sample
from ...config import ClipConfig
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import alpha_bars, final_alpha_bar, first_step, prediction_columns, select_timesteps
from .query import NoiseSource, Query, Sampler, required
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class DdpmConfig(ClipConfig):
    """Options of DDPM's ancestral sampler (Ho, Jain, Abbeel 2020, https://arxiv.org/abs/2006.11239)."""

    name: ClassVar[str] = "ddpm"
    summary: ClassVar[str] = "fresh noise at every step; needs many steps (Ho et al. 2020)"
    scheduler_class: ClassVar[str] = "DDPMScheduler"

    large_variance: bool = False
    """Add noise of variance β_t (σ̂ in DDIM's table 1, ``fixed_large``) instead of the posterior's."""

    @property
    def is_stochastic(self) -> bool:
        """True: a step adds fresh noise."""
        return True


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, then those of (x_0, x_t, fresh noise) in x_t'."""

    x0: Weights
    next: Weights


class DdpmSchedule:
    """DDPM over ``num_steps`` timesteps, each leading to the next; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: DdpmConfig, num_steps: int, strength: float = 1.0) -> None:
        table = alpha_bars(config)
        self.timesteps = select_timesteps(config, num_steps)[first_step(num_steps, strength) :]
        now = table[self.timesteps]
        self.levels, then = Levels.preserving(now), np.append(now[1:], final_alpha_bar(config, table))
        beta = 1 - now / then
        variance = beta if config.large_variance else (1 - then) / (1 - now) * beta
        variance = np.append(variance[:-1], 0.0)
        mean_x0, mean_x = np.sqrt(then) * beta / (1 - now), np.sqrt(1 - beta) * (1 - then) / (1 - now)
        x0, following = prediction_columns(config, self.levels)[:2], (mean_x0, mean_x, np.sqrt(variance))
        self.rows = [Row(*row) for row in zip(weight_rows(*x0), weight_rows(*following), strict=True)]
        self.limit = limit_of(config)


def ddpm(schedule: DdpmSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called once per step, except at the last."""
    denoised: Sample | None = None
    for timestep, row in zip(schedule.timesteps.tolist(), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        fresh = required(noise, "ddpm")() if row.next[-1] else None
        sample = weighted_sum(row.next, denoised, sample, fresh)
    return sample
