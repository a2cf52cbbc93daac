"""Sampling from latent consistency models (Luo et al. 2023, https://arxiv.org/abs/2310.04378, algorithm 3).

The network is a consistency function: it maps any x_t of a trajectory to the trajectory's end. With eq. 9,
s = scale·t and σ_data = ½, it is the identity at t = 0::

    f(x_t)  = c_skip(t)·x_t + c_out(t)·x_0(x_t)
    c_skip  = σ_data² / (s² + σ_data²),    c_out = s / sqrt(s² + σ_data²)

Each step goes to the end and adds noise of the next timestep; the last step adds none::

    x_t' = sqrt(ᾱ_t')·f(x_t) + sqrt(1-ᾱ_t')·z,    z ~ N(0, I)

The timesteps are evenly spaced among the ``num_original_steps`` that the model was distilled on (skipping steps).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...arrays import Sample
from ...config import BetaSchedule, ClipConfig, number, whole_number
from ...errors import ConfigError
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import alpha_bars, prediction_columns
from .query import NoiseSource, Query, Sampler, required
from .weights import Weights, weight_rows, weighted_sum

SCALE_BOUNDS = (1e-6, 1e6)


@dataclass(frozen=True, kw_only=True)
class LcmConfig(ClipConfig):
    """Options of the sampler of latent consistency models (Luo et al. 2023, https://arxiv.org/abs/2310.04378).

    Its timesteps are among those that the model was distilled on: ``timestep_spacing`` has no effect.
    """

    name: ClassVar[str] = "lcm"
    summary: ClassVar[str] = "1 to 8 steps, for models distilled to consistency (Luo et al. 2023)"
    scheduler_class: ClassVar[str] = "LCMScheduler"
    usual_steps: ClassVar[int] = 4

    beta_schedule: BetaSchedule = "quadratic"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    clip_denoised_sample: bool = False
    num_original_steps: int = 50
    """Number of evenly spaced timesteps that the model was distilled on; a run uses some of them."""
    boundary_condition_timestep_scale: float = 10.0
    """Factor of t in c_skip and c_out, with which the network is the identity at t = 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("num_original_steps", self.num_original_steps, low=1, high=self.num_train_steps)
        number("boundary_condition_timestep_scale", self.boundary_condition_timestep_scale, *SCALE_BOUNDS)

    @property
    def is_stochastic(self) -> bool:
        """True: a step adds fresh noise."""
        return True


SIGMA_DATA = 0.5


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, of (x_t, x_0) in f, and of (f, fresh noise) in x_t'."""

    x0: Weights
    f: Weights
    next: Weights


class LcmSchedule:
    """LCM over ``num_steps`` of the original timesteps; see ``DdimSchedule`` for the attributes.

    Raises ConfigError for more steps than ``num_original_steps · strength``.
    """

    def __init__(self, config: LcmConfig, num_steps: int, strength: float = 1.0) -> None:
        self.timesteps = distilled_timesteps(config, num_steps, strength)
        bars = alpha_bars(config)[self.timesteps]
        self.levels = Levels.preserving(bars)
        scaled = self.timesteps * config.boundary_condition_timestep_scale
        c_skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        c_out = scaled / np.sqrt(scaled**2 + SIGMA_DATA**2)
        then = np.append(bars[1:], 1.0)
        sums = prediction_columns(config, self.levels)[:2], (c_skip, c_out), (np.sqrt(then), np.sqrt(1 - then))
        self.rows = [Row(*row) for row in zip(*(weight_rows(*columns) for columns in sums), strict=True)]
        self.limit = limit_of(config)


def lcm(schedule: LcmSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called once per step, except at the last."""
    denoised: Sample | None = None
    for timestep, row in zip(schedule.timesteps.tolist(), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        end = weighted_sum(row.x0, sample, prediction)
        if schedule.limit:
            end = schedule.limit(end)
        denoised = weighted_sum(row.f, sample, end)
        fresh = required(noise, "lcm")() if row.next[-1] else None
        sample = weighted_sum(row.next, denoised, fresh)
    return sample


class Distilled(Protocol):
    """A config with the timesteps that its model was distilled on."""

    name: ClassVar[str]

    @property
    def num_train_steps(self) -> int: ...
    @property
    def num_original_steps(self) -> int: ...


def distilled_timesteps(config: Distilled, num_steps: int, strength: float) -> NDArray[np.int64]:
    """The timesteps of a run, among those that the model was distilled on, int64 (S,). Raises ConfigError."""
    whole_number("num_steps", num_steps, low=1)
    available = int(config.num_original_steps * strength)
    if num_steps > available:
        raise ConfigError(
            f"{config.name} takes its {num_steps} steps from the {available} that num_original_steps "
            f"{config.num_original_steps} and strength {strength:g} leave: take fewer steps, or more of either"
        )
    original = np.arange(1, available + 1) * (config.num_train_steps // config.num_original_steps) - 1
    indices = np.floor(np.linspace(0, available, num_steps, endpoint=False)).astype(np.int64)
    return original[::-1][indices].astype(np.int64)
