"""Euler's method in σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364), and its ancestral form (k-diffusion).

With σ = sqrt((1-ᾱ)/ᾱ) for time and x̃ = x/sqrt(ᾱ) = x_0 + σ·ε for the sample, the probability-flow ODE is eq. 3,
dx̃/dσ = (x̃ - x_0(x̃))/σ. One step is algorithm 2 without churn and without its second-order correction::

    x̃' = x̃ + (σ' - σ)·(x̃ - x_0)/σ

The ancestral step goes below σ' and adds fresh noise to come back to it::

    x̃' = x̃ + (σ_down - σ)·(x̃ - x_0)/σ + σ_up·z,    z ~ N(0, I)
    σ_up² = σ'²·(σ² - σ'²)/σ²,    σ_down² = σ'² - σ_up²

Between the same levels these are DDIM's steps at η = 0 and η = 1, without its clipping. New are the levels: σ can be
between two timesteps, and the run can end above 0. The sample is kept as x, the network's input, as in the other
samplers; diffusers keeps x̃. The result is x̃, as in diffusers.

For a level between two timesteps diffusers feeds the network a fractional timestep. Here it is the nearest whole one,
on which the network was trained: ``linspace`` and Karras levels can differ a little from diffusers.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Floats, Sample
from ...config import NoiseLevelsConfig, ThresholdConfig, TimestepSpacing
from ...errors import ConfigError
from ..clipping import limit_of
from ..schedule import alpha_bars, first_step, prediction_columns, select_timesteps
from .levels import NEARLY_ZERO, karras
from .query import NoiseSource, Query, Sampler, required
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class EulerConfig(NoiseLevelsConfig):
    """Options of Euler's method in σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 2 without churn).

    Without ``sigma_min`` and ``sigma_max``, Karras levels go from σ of the run's first timestep to that of its last.
    """

    name: ClassVar[str] = "euler"
    summary: ClassVar[str] = "deterministic: DDIM over levels of any spacing (Karras et al. 2022)"
    scheduler_class: ClassVar[str] = "EulerDiscreteScheduler"


@dataclass(frozen=True, kw_only=True)
class EulerAncestralConfig(ThresholdConfig):
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


class EulerSchedule:
    """Euler, ancestral or not, over ``num_steps`` steps; see ``DdimSchedule`` for the attributes.

    Raises ConfigError if a step of the ancestral form leads to more noise.
    """

    def __init__(self, config: EulerConfig | EulerAncestralConfig, num_steps: int, strength: float = 1.0) -> None:
        positions, sigmas = _levels(config, num_steps)
        first = first_step(num_steps, strength)
        self.config, self.limit = config, limit_of(config)
        self.timesteps = positions[first:].round().astype(np.int64)
        now, then = sigmas[first:-1], sigmas[first + 1 :]
        self.levels = 1 / (1 + now**2)
        up = then * np.sqrt(1 - (then / now) ** 2) if isinstance(config, EulerAncestralConfig) else 0 * then
        x0, following = prediction_columns(config, self.levels)[:2], _weights(now, then, up)
        self.rows = [Row(*row) for row in zip(weight_rows(*x0), weight_rows(*following), strict=True)]

    def first_sample(self, noise: Sample) -> Sample:
        """x_T from standard normal noise, as in diffusers: x̃ = σ·z, for ``leading`` sqrt(σ²+1)·z."""
        ends_in_noise = self.config.timestep_spacing in ("linspace", "trailing")
        return float(np.sqrt(1 - self.levels[0])) * noise if ends_in_noise else noise


def euler(schedule: EulerSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; the ancestral form calls ``noise`` once per step, except at the last."""
    denoised: Sample | None = None
    for timestep, row in zip(schedule.timesteps.tolist(), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        fresh = required(noise, schedule.config.name)() if row.next[-1] else None
        sample = weighted_sum(row.next, sample, denoised, fresh)
    return sample


def _weights(now: Floats, then: Floats, up: Floats) -> tuple[Floats, Floats, Floats]:
    """The weights of x_t, x_0 and z, from σ, σ' and σ_up."""
    kept = np.sqrt(then**2 - up**2) / now
    to_x = 1 / np.sqrt(1 + then**2)
    to_x[-1] = 1  # the result is x̃
    return to_x * kept * np.sqrt(1 + now**2), to_x * (1 - kept), to_x * up


def _levels(config: EulerConfig | EulerAncestralConfig, num_steps: int) -> tuple[Floats, Floats]:
    """The timesteps, float64 (S,), can be fractional; and σ, float64 (S+1,), whose last value is the end of the run."""
    bars = alpha_bars(config)
    if config.zero_terminal_snr:
        bars[-1] = NEARLY_ZERO
    table, every = np.sqrt((1 - bars) / bars), np.arange(len(bars))
    positions = _positions(config, num_steps)
    sigmas = np.interp(positions, every, table)
    if isinstance(config, EulerAncestralConfig):
        _check_falling(sigmas)
        return positions, np.append(sigmas, 0.0)
    if config.use_karras_sigmas:
        sigmas = karras(config.sigma_min or float(sigmas[-1]), config.sigma_max or float(sigmas[0]), num_steps)
        rising = np.maximum.accumulate(table)  # the value that replaces ᾱ_T = 0 can give a σ below its neighbours'
        positions = np.interp(np.log(sigmas), np.log(rising), every)
    return positions, np.append(sigmas, 0.0 if config.final_sigma == "zero" else table[0])


def _check_falling(sigmas: Floats) -> None:
    """Check that σ falls: the value that replaces ᾱ_T = 0 can be above ᾱ of its neighbours. Then σ_up is undefined."""
    if np.any(np.diff(sigmas) > 0):
        raise ConfigError(
            f"euler-a goes from more noise to less, and {len(sigmas)} steps of this zero_terminal_snr schedule begin "
            "with a step to more: take fewer, or another sampler"
        )


def _positions(config: EulerConfig | EulerAncestralConfig, num_steps: int) -> Floats:
    whole = select_timesteps(config, num_steps)
    if config.timestep_spacing != "linspace":
        return whole.astype(np.float64)
    return np.linspace(0, config.num_train_steps - 1, num_steps)[::-1]
