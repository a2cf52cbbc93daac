"""Euler's method in σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364), and its ancestral form (k-diffusion).

With σ = noise/signal for time and x̃ = x/signal = x_0 + σ·ε for the sample, the probability-flow ODE is eq. 3,
dx̃/dσ = (x̃ - x_0(x̃))/σ. One step is algorithm 2 without churn and without its second-order correction::

    x̃' = x̃ + (σ' - σ)·(x̃ - x_0)/σ

The ancestral step goes below σ' and adds fresh noise to come back to it::

    x̃' = x̃ + (σ_down - σ)·(x̃ - x_0)/σ + σ_up·z,    z ~ N(0, I)
    σ_up² = σ'²·(σ² - σ'²)/σ²,    σ_down² = σ'² - σ_up²

Between the same levels these are DDIM's steps at η = 0 and η = 1, without its clipping. New are the levels: σ can be
between two timesteps, and the run can end above 0. The sample is kept as x, the network's input, as in the other
samplers; diffusers keeps x̃. The result is x̃, as in diffusers.

In terms of x the step is x' = signal'·x_0 + noise'·ε with ε = (x - signal·x_0)/noise, for any family of levels: for
flow matching it is x' = x + (t' - t)·(ε - x_0).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Floats, Sample
from ...config import NoiseLevelsConfig, RealTimeConfig, SamplerOptions, ThresholdConfig, TimestepSpacing
from ...errors import ConfigError
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import prediction_columns
from .query import NoiseSource, Query, Sampler, required, times
from .run_levels import levels_of
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class EulerConfig(RealTimeConfig, NoiseLevelsConfig):
    """Options of Euler's method in σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 2 without churn).

    Without ``sigma_min`` and ``sigma_max``, Karras levels go from σ of the run's first timestep to that of its last.
    """

    name: ClassVar[str] = "euler"
    summary: ClassVar[str] = "deterministic: DDIM over levels of any spacing (Karras et al. 2022)"
    scheduler_class: ClassVar[str] = "EulerDiscreteScheduler"


@dataclass(frozen=True, kw_only=True)
class EulerAncestralConfig(RealTimeConfig, ThresholdConfig):
    """Options of Euler's method with fresh noise at every step but the last (k-diffusion's ``euler_ancestral``)."""

    name: ClassVar[str] = "euler-a"
    summary: ClassVar[str] = "Euler with fresh noise; 1 to 4 steps for Turbo models"
    scheduler_class: ClassVar[str] = "EulerAncestralDiscreteScheduler"

    timestep_spacing: TimestepSpacing = "linspace"

    @property
    def is_stochastic(self) -> bool:
        """True: a step adds fresh noise."""
        return True


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, then those of (x_t, x_0, fresh noise) in x_t'."""

    x0: Weights
    next: Weights


def all_kept(levels: Levels) -> Floats:
    """The noise of each step's end, float64 (S,): none is fresh."""
    return levels.noise[1:]


class EulerSchedule:
    """Euler over ``num_steps`` steps, for any family of levels; see ``DdimSchedule`` for the attributes.

    ``kept`` says how much of each step's noise is that of the sample, from the S+1 levels; the rest is fresh.
    """

    def __init__(
        self, config: SamplerOptions, num_steps: int, strength: float = 1.0, kept: Callable[[Levels], Floats] = all_kept
    ) -> None:
        self.timesteps, levels = levels_of(config, num_steps, strength)
        self.config, self.limit, self.levels = config, limit_of(config), levels[:-1]
        x0, following = prediction_columns(config, self.levels)[:2], _weights(levels, kept(levels))
        self.rows = [Row(*row) for row in zip(weight_rows(*x0), weight_rows(*following), strict=True)]


def ancestral_schedule(config: EulerAncestralConfig, num_steps: int, strength: float = 1.0) -> EulerSchedule:
    """The ancestral form's schedule. Raises ConfigError if a step leads to more noise."""
    return EulerSchedule(config, num_steps, strength, kept=_ancestral_kept)


def first_sample(schedule: EulerSchedule, noise: Sample) -> Sample:
    """x_T from standard normal noise, as in diffusers: x̃ = σ·z, for ``leading`` sqrt(σ²+1)·z."""
    ends_in_noise = getattr(schedule.config, "timestep_spacing", None) in ("linspace", "trailing")
    return schedule.levels[0].noise * noise if ends_in_noise else noise


def euler(schedule: EulerSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called at every step that adds fresh noise."""
    denoised: Sample | None = None
    for timestep, row in zip(times(schedule.timesteps), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        fresh = required(noise, schedule.config.name)() if row.next[-1] else None
        sample = weighted_sum(row.next, sample, denoised, fresh)
    return sample


def _weights(levels: Levels, kept: Floats) -> tuple[Floats, Floats, Floats]:
    """The weights of x_t, x_0 and z: x' = signal'·x_0 + kept·ε + sqrt(noise'² - kept²)·z."""
    share, then = kept / levels.noise[:-1], levels[1:]
    return share, then.signal - share * levels.signal[:-1], np.sqrt(then.noise**2 - kept**2)


def _ancestral_kept(levels: Levels) -> Floats:
    """σ_down = σ'²/σ, times signal'."""
    sigmas = levels.sigmas
    if np.any(np.diff(sigmas) > 0):  # the value that replaces ᾱ_T = 0 can be above ᾱ of its neighbours
        raise ConfigError(
            f"euler-a goes from more noise to less, and {len(levels) - 1} steps of this zero_terminal_snr schedule "
            "begin with a step to more: take fewer, or another sampler"
        )
    return levels.noise[1:] * (sigmas[1:] / sigmas[:-1])
