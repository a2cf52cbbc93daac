"""Sampling from consistency models (Song et al. 2023, https://arxiv.org/abs/2303.01469, algorithm 1).

The network F is fed c_in·x̃ and 250·log(σ), of x̃ = x_0 + σ·ε, and f maps x̃ to x_0. It is the identity at σ_min
(appendix C)::

    f(x̃) = c_skip·x̃ + c_out·F
    c_skip = σ_data² / ((σ - σ_min)² + σ_data²),    c_out = (σ - σ_min)·σ_data / sqrt(σ² + σ_data²)

Each step goes to the end and adds noise of the next level; the last step adds none::

    x̃' = f(x̃) + sqrt(σ'² - σ_min²)·z,    z ~ N(0, s_noise²·I)

The levels are some of the T ones that the model was trained on, of which σ^(1/rho) is even. The sample is kept as the
network's input, c_in·x̃.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from ...arrays import Floats, Sample
from ...config import Family, PreconditionedConfig, number, whole_number
from ...errors import ConfigError
from ..clipping import clipping
from ..levels import CLEAN, Levels
from ..preconditioning import network_levels, network_times
from ..schedule import first_step
from .query import NoiseSource, Query, Sampler, required
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class ConsistencyConfig(PreconditionedConfig):
    """Options of the sampler of consistency models (Song et al. 2023, https://arxiv.org/abs/2303.01469)."""

    name: ClassVar[str] = "consistency"
    summary: ClassVar[str] = "for consistency models of σ-space: 1 to 4 steps (Song et al. 2023)"
    scheduler_class: ClassVar[str] = "CMStochasticIterativeScheduler"
    usual_steps: ClassVar[int] = 2
    family: ClassVar[Family] = "consistency"
    timestep_scale: ClassVar[float] = 250.0

    num_train_steps: int = 40
    prediction_type: Literal["edm", "sample"] = "edm"
    """``edm``: the network returns F; ``sample``: it is fed x̃ and returns f(x̃)."""
    clip_denoised: bool = True
    """Clip f to ±1."""
    s_noise: float = 1.0
    """The standard deviation of the noise that is added."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("num_train_steps", self.num_train_steps, low=2)
        number("s_noise", self.s_noise, low=0, high=100)

    @property
    def is_stochastic(self) -> bool:
        """True: a step adds fresh noise."""
        return True


class Row(NamedTuple):
    """One step: the weights of (c_in·x̃, prediction) in f, then those of (f, fresh noise) in the next c_in·x̃."""

    f: Weights
    next: Weights


class ConsistencySchedule:
    """Consistency sampling over ``num_steps`` of the trained levels; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: ConsistencyConfig, num_steps: int, strength: float = 1.0) -> None:
        self.config, self.limit = config, clipping(1.0) if config.clip_denoised else None
        sigmas = _sigmas(config, num_steps)[first_step(num_steps, strength) :]
        self.timesteps, self.levels = network_times(config, sigmas), network_levels(config, sigmas)
        f = _f_columns(config, sigmas, self.levels)
        added = np.sqrt(np.append(sigmas[1:] ** 2 - config.sigma_min**2, 0.0)) * config.s_noise
        scale = self.levels.ending(CLEAN)[1:].signal
        self.rows = [Row(*row) for row in zip(weight_rows(*f), weight_rows(scale, scale * added), strict=True)]


def first_consistency_sample(schedule: ConsistencySchedule, noise: Sample) -> Sample:
    """x_T from standard normal noise, as in diffusers: x̃ = σ_max·z."""
    return schedule.levels[0].signal * schedule.config.sigma_max * noise


def consistency(schedule: ConsistencySchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called once per step, except at the last."""
    denoised: Sample | None = None
    for timestep, row in zip(schedule.timesteps.tolist(), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        denoised = weighted_sum(row.f, sample, prediction)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        fresh = required(noise, "consistency")() if row.next[-1] else None
        sample = weighted_sum(row.next, denoised, fresh)
    return sample


def _f_columns(config: ConsistencyConfig, sigmas: Floats, levels: Levels) -> tuple[Floats, Floats]:
    """The weights of the network's input and of its output in f."""
    if config.prediction_type == "sample":
        return np.zeros_like(sigmas), np.ones_like(sigmas)
    above, data = sigmas - config.sigma_min, config.sigma_data
    return data**2 / (above**2 + data**2) / levels.signal, above * data * levels.signal


def _sigmas(config: ConsistencyConfig, num_steps: int) -> Floats:
    """Every (T//S)-th of the trained levels from the highest."""
    whole_number("num_steps", num_steps, low=1)
    total = config.num_train_steps
    if num_steps > total:
        raise ConfigError(f"consistency makes at most as many steps as it has trained levels, {total}: take fewer")
    ramp = np.arange(num_steps) * (total // num_steps) / (total - 1)
    highest, lowest = config.sigma_max ** (1 / config.rho), config.sigma_min ** (1 / config.rho)
    sigmas: Floats = (highest + ramp * (lowest - highest)) ** config.rho
    return np.maximum(sigmas, config.sigma_min)
