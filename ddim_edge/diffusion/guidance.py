"""Classifier-free guidance (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598), rescaled and in an interval."""

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..arrays import Floats, Sample
from ..config import FlowConfig, NoiseScheduleConfig, PreconditionedConfig, SamplerOptions
from ..errors import ConfigError
from .preconditioning import network_times
from .schedule import alpha_bars

GuidanceMode = Literal["cfg", "cfg++"]
"""``cfg``: the guided prediction decides the whole step; ``cfg++``: x_0 alone (``samplers/cfg_plus_plus.py``)."""


def guide(conditional: Sample, unconditional: Sample, scales: Sample | float) -> Sample:
    """Return ε_∅ + w·(ε_c - ε_∅): w = 1 is the conditional prediction, w > 1 moves away from the unconditional one.

    ``conditional`` and ``unconditional``: float32 (B, C, H, W); ``scales``: float32 (B,), one w per row, or one for
    all.
    """
    guided = conditional - unconditional
    guided *= _per_row(scales, conditional) if isinstance(scales, np.ndarray) else scales
    guided += unconditional
    return guided


def rescale(guided: Sample, conditional: Sample, shares: Sample) -> Sample:
    """Scale a guided prediction towards the standard deviation of the conditional one (Lin et al. 2023, eq. 15, 16).

    Guidance raises contrast; this removes a share φ of the change: 0 none, 1 all. ``guided`` and ``conditional``:
    float32 (B, C, H, W); ``shares``: float32 (B,), one φ per row.
    """
    axes = tuple(range(1, guided.ndim))
    target, present = conditional.std(axis=axes), guided.std(axis=axes)
    ratio = np.divide(target, present, out=np.ones_like(present), where=present > 0)  # a constant has no contrast
    return guided * _per_row(shares * ratio + (1 - shares), guided)


@dataclass(frozen=True)
class TimeInterval:
    """The timesteps t with after < t <= last, which need not be whole."""

    after: float
    last: float

    def __contains__(self, timestep: float) -> bool:
        return self.after < timestep <= self.last


@functools.lru_cache(maxsize=64)
def guided_timesteps(config: SamplerOptions, interval: tuple[float, float] | None) -> TimeInterval | None:
    """The timesteps whose noise level σ = noise/signal is in (low, high] (Kynkäänniemi et al. 2024); None for all.

    Raises ConfigError if there is none.
    """
    if interval is None:
        return None
    times, sigmas = _trained_levels(config)
    first, end = (int(np.searchsorted(sigmas, level, side="right")) for level in interval)
    if first >= end:
        low, high = interval
        raise ConfigError(
            f"guidance_interval {low:g} to {high:g} contains no noise level of this model: they go from "
            f"{sigmas[0]:.3g} to {sigmas[-1]:.3g}"
        )
    after, last = (float(np.interp(level, sigmas, times, -math.inf, math.inf)) for level in interval)
    return TimeInterval(after, last)


def _trained_levels(config: SamplerOptions) -> tuple[Floats, Floats]:
    """Timesteps of the whole range that the network was trained on, and their σ, both rising."""
    if isinstance(config, PreconditionedConfig):
        sigmas: Floats = np.exp(np.linspace(math.log(config.sigma_min), math.log(config.sigma_max), 1000))
        return network_times(config, sigmas), sigmas
    every = np.arange(config.num_train_steps, dtype=np.float64)
    if isinstance(config, FlowConfig):
        times = (every + 1) / config.num_train_steps
        return every + 1, times / np.maximum(1 - times, 1 / _LARGE)
    if config.family == "angle":
        times = (every + 1) / config.num_train_steps
        return times, np.minimum(np.tan(times * math.pi / 2), _LARGE)
    assert isinstance(config, NoiseScheduleConfig)
    bars = alpha_bars(config)
    return every, np.sqrt((1 - bars) / np.maximum(bars, _LARGE**-2))


_LARGE = 1e12
"""In place of infinity, between which and another number one cannot interpolate."""


def _per_row(values: Sample, like: Sample) -> Sample:
    return values.reshape(-1, *(1,) * (like.ndim - 1))
