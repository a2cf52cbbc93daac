"""Trajectory consistency distillation's sampler (Zheng et al. 2024, https://arxiv.org/abs/2402.19159, algorithm 4).

The network is a consistency function to any time: it leads from x_t to x_s at s = (1-γ)·t', between 0 and the next
timestep t', by DDIM's step, and fresh noise leads back to t'::

    x_s  = sqrt(ᾱ_s)·x_0(x_t) + sqrt(1-ᾱ_s)·ε(x_t)
    x_t' = sqrt(ᾱ_t'/ᾱ_s)·x_s + sqrt(1-ᾱ_t'/ᾱ_s)·z,    z ~ N(0, I)

γ = 0 is DDIM's path without noise, γ = 1 goes to the end and back, as LCM does. The last step goes to timestep 0 and
adds none. The timesteps are evenly spaced among the ``num_original_steps`` that the model was distilled on.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Sample
from ...config import BetaSchedule, ThresholdConfig, number, whole_number
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import alpha_bars, prediction_columns
from .lcm import distilled_timesteps
from .query import NoiseSource, Query, Sampler, required
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class TcdConfig(ThresholdConfig):
    """Options of the sampler of models distilled by TCD, such as Hyper-SD (Zheng et al. 2024).

    Its timesteps are among those that the model was distilled on: ``timestep_spacing`` has no effect.
    """

    name: ClassVar[str] = "tcd"
    summary: ClassVar[str] = "1 to 8 steps, for models distilled by TCD, such as Hyper-SD (Zheng et al. 2024)"
    scheduler_class: ClassVar[str] = "TCDScheduler"
    usual_steps: ClassVar[int] = 4

    beta_schedule: BetaSchedule = "quadratic"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    num_original_steps: int = 50
    """Number of evenly spaced timesteps that the model was distilled on; a run uses some of them."""
    gamma: float = 0.3
    """γ, how far below the next timestep a step goes before it adds noise: 0 adds none, 1 goes to the end.
    In diffusers it is the argument ``eta`` of a step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("num_original_steps", self.num_original_steps, low=1, high=self.num_train_steps)
        number("gamma", self.gamma, low=0, high=1)

    @property
    def is_stochastic(self) -> bool:
        """Whether steps add fresh noise."""
        return self.gamma > 0


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, then those of (x_t, prediction, x_0, fresh noise) in x_t'."""

    x0: Weights
    next: Weights


class TcdSchedule:
    """TCD over ``num_steps`` of the original timesteps; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: TcdConfig, num_steps: int, strength: float = 1.0) -> None:
        self.timesteps = distilled_timesteps(config, num_steps, strength)
        table, then = alpha_bars(config), np.append(self.timesteps[1:], 0)
        self.levels, self.limit = Levels.preserving(table[self.timesteps]), limit_of(config)
        below, back = table[np.floor((1 - config.gamma) * then).astype(np.int64)], table[then]
        back[-1] = below[-1]
        x0_x, x0_p, eps_x, eps_p = prediction_columns(config, self.levels)
        kept = np.sqrt(back / below * (1 - below))
        following = weight_rows(kept * eps_x, kept * eps_p, np.sqrt(back), np.sqrt(1 - back / below))
        self.rows = [Row(*row) for row in zip(weight_rows(x0_x, x0_p), following, strict=True)]


def tcd(schedule: TcdSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called at every step that adds fresh noise."""
    denoised: Sample | None = None
    for timestep, row in zip(schedule.timesteps.tolist(), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        fresh = required(noise, "tcd")() if row.next[-1] else None
        sample = weighted_sum(row.next, sample, prediction, denoised, fresh)
    return sample
