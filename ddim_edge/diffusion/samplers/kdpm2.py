"""DPM-Solver-2 in σ (k-diffusion's ``dpm_2``), and its ancestral form (``dpm_2_ancestral``).

A step is the midpoint method in log σ for the derivative d(x̃, σ) = (x̃ - x_0(x̃))/σ (https://arxiv.org/abs/2206.00364,
eq. 3)::

    σ_m = sqrt(σ·σ'),    x̃_m = x̃ + (σ_m - σ)·d(x̃, σ),    x̃' = x̃ + (σ' - σ)·d(x̃_m, σ_m)

The ancestral step goes to σ_down below σ', with σ_m between σ and σ_down, and adds fresh noise to come back to σ'::

    σ_down = σ'²/σ,    σ_up² = σ'² - σ_down²,    x̃' = x̃ + (σ_down - σ)·d(x̃_m, σ_m) + σ_up·z,    z ~ N(0, I)

so that σ_m is σ'. The last step, to σ' = 0, is Euler's alone. A run of S steps makes 2·S - 1 calls.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...arrays import Floats
from ...config import NoiseLevelsConfig, RealTimeConfig
from ...errors import ConfigError
from ..levels import Levels
from .query import Times
from .run_levels import levels_of, timesteps_at
from .two_calls import TwoCallSchedule, euler_rows, interleaved, interleaved_levels
from .weights import weight_rows


@dataclass(frozen=True, kw_only=True)
class Kdpm2Config(RealTimeConfig, NoiseLevelsConfig):
    """Options of DPM-Solver-2 in σ (k-diffusion's ``dpm_2``)."""

    name: ClassVar[str] = "dpm2"
    summary: ClassVar[str] = "second order by the midpoint, two calls a step (Karras et al. 2022)"
    scheduler_class: ClassVar[str] = "KDPM2DiscreteScheduler"
    usual_steps: ClassVar[int] = 25

    beta_start: float = 0.00085
    beta_end: float = 0.012


@dataclass(frozen=True, kw_only=True)
class Kdpm2AncestralConfig(Kdpm2Config):
    """Options of DPM-Solver-2 with fresh noise at every step but the last (k-diffusion's ``dpm_2_ancestral``)."""

    name: ClassVar[str] = "dpm2-a"
    summary: ClassVar[str] = "dpm2 with fresh noise at every step"
    scheduler_class: ClassVar[str] = "KDPM2AncestralDiscreteScheduler"

    @property
    def is_stochastic(self) -> bool:
        """True: a step adds fresh noise."""
        return True


def kdpm2_schedule(config: Kdpm2Config, num_steps: int, strength: float = 1.0) -> TwoCallSchedule:
    """DPM-Solver-2 over ``num_steps`` steps, each to the next level."""
    timesteps, levels = levels_of(config, num_steps, strength)
    sigmas = levels.sigmas
    middle = Levels.of_sigmas(np.sqrt(sigmas[:-2] * sigmas[1:-1]))
    return _schedule(config, timesteps, levels, middle, sigmas[1:])


def kdpm2_ancestral_schedule(config: Kdpm2AncestralConfig, num_steps: int, strength: float = 1.0) -> TwoCallSchedule:
    """The ancestral form's schedule. Raises ConfigError if a step leads to more noise."""
    timesteps, levels = levels_of(config, num_steps, strength)
    sigmas = levels.sigmas
    if np.any(np.diff(sigmas) > 0):
        raise ConfigError(
            f"dpm2-a goes from more noise to less, and {num_steps} steps of this zero_terminal_snr schedule begin with "
            "a step to more: take fewer, or another sampler"
        )
    return _schedule(config, timesteps, levels, levels[1:-1], sigmas[1:] ** 2 / sigmas[:-1])


def _schedule(config: Kdpm2Config, timesteps: Times, levels: Levels, middle: Levels, down: Floats) -> TwoCallSchedule:
    """The schedule from S+1 levels, those of the second calls, and the σ to which each step goes before its noise."""
    sigmas, signal = levels.sigmas, levels.signal
    end_signal, end_sigma = np.append(middle.signal, signal[-1]), np.append(middle.sigmas, sigmas[-1])
    first = euler_rows(signal[:-1], end_signal, end_sigma - sigmas[:-1])
    then, length = signal[1:-1], down[:-1] - sigmas[:-2]
    up = np.sqrt(np.maximum(sigmas[1:-1] ** 2 - down[:-1] ** 2, 0))
    second = weight_rows(then / signal[:-2], 0 * up, then * length, then * up)
    if config.use_karras_sigmas:  # diffusers rounds these, and not those of the midpoints
        timesteps = timesteps.round()
    between = timesteps_at(config, middle.sigmas)
    calls = interleaved_levels(levels[:-1], middle)
    return TwoCallSchedule(config, interleaved(timesteps, between), calls, first, second)
