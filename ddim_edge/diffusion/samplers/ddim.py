"""DDIM (Song, Meng, Ermon 2020, https://arxiv.org/abs/2010.02502).

Eq. 12, with t' the timestep after t in the run and σ from eq. 16::

    x_t' = sqrt(ᾱ_t')·x_0(x_t) + sqrt(1-ᾱ_t'-σ²)·ε(x_t) + σ·z,    z ~ N(0, I)
    σ    = η·sqrt((1-ᾱ_t')/(1-ᾱ_t))·sqrt(1 - ᾱ_t/ᾱ_t')
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arrays import Floats, Sample
from ...config import ClipConfig, Transition, number
from ...errors import ConfigError
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import alpha_bars, final_alpha_bar, first_step, prediction_columns, select_timesteps
from .query import LinearStep, NoiseSource, Query, Sampler, Stepped, StepQuery
from .weights import weighted_sum


@dataclass(frozen=True, kw_only=True)
class DdimConfig(ClipConfig):
    """Options of the DDIM sampler (Song, Meng, Ermon 2020, https://arxiv.org/abs/2010.02502)."""

    name: ClassVar[str] = "ddim"
    summary: ClassVar[str] = "deterministic at eta 0; can be inverted (Song et al. 2020)"
    scheduler_class: ClassVar[str] = "DDIMScheduler"

    eta: float = 0.0
    """Scale of σ_t, eq. 16: 0 is deterministic (DDIM), 1 over all T timesteps is DDPM."""
    rederive_noise: bool = False
    """Take ε from the clipped x_0 instead of from the prediction (GLIDE)."""
    transition: Transition = "fixed_gap"
    """The timestep t' that a step leads to: ``fixed_gap`` t - T//S (diffusers), or the ``next`` one of the list. They
    agree for ``leading``; for ``trailing`` and ``linspace`` only ``next`` is consistent. ``quadratic`` has no fixed
    gap and always uses ``next``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        number("eta", self.eta, low=0)

    @property
    def is_stochastic(self) -> bool:
        """True if eta > 0: a step adds noise of standard deviation σ, eq. 16."""
        return self.eta > 0


class Coefficients(NamedTuple):
    """Coefficients of one step: x_0 and ε from (x_t, prediction), then the next sample by eq. 12."""

    x0_x: float
    x0_p: float
    eps_x: float
    eps_p: float
    redo_x: float
    """1/sqrt(1-ᾱ_t): the weight of x_t in the rederived ε …"""
    redo_x0: float
    """… and that of the clipped x_0: -sqrt(ᾱ_t)/sqrt(1-ᾱ_t)."""
    signal: float
    """sqrt(ᾱ_t'), the weight of x_0 in eq. 12."""
    direction: float
    """sqrt(1-ᾱ_t'-σ²), the weight of ε."""
    sigma: float
    """σ of eq. 16, the weight of fresh noise."""
    next_x: float
    next_p: float
    next_x0: float
    """Eq. 12 without noise, multiplied out: the weights of x_t, of the prediction and of the clipped x_0."""


class DdimSchedule:
    """DDIM over ``num_steps`` of the T training timesteps, as a table that is built once.

    With ``strength`` < 1 the table has only the last ``num_steps · strength`` steps, which change an image with added
    noise of the first of these timesteps.

    Attributes:
        config: the options that the table was built from.
        timesteps: int64 (S,), descending: the network's input at each step.
        alpha_bars: float64 (T,): ᾱ.
        levels: the noise level of the sample at each step, S of them.
        rows: the S rows of coefficients.

    Raises ConfigError if the options and the number of steps do not fit together.
    """

    def __init__(self, config: DdimConfig, num_steps: int, strength: float = 1.0) -> None:
        self.config, self.alpha_bars = config, alpha_bars(config)
        timesteps, first = select_timesteps(config, num_steps), first_step(num_steps, strength)
        self.rows = _coefficient_rows(config, self.alpha_bars, timesteps)[first:]
        self.timesteps = timesteps[first:]
        self.levels = Levels.preserving(self.alpha_bars[self.timesteps])
        self._limit = limit_of(config)
        self._linear = [_linear_step(config, row) for row in self.rows]

    @property
    def num_steps(self) -> int:
        return len(self.rows)

    def is_stochastic(self, step: int) -> bool:
        """Whether ``step`` adds fresh noise; ``step()`` then requires ``noise``."""
        return self.rows[step].sigma > 0

    def linear_step(self, step: int, noise: Sample | None) -> LinearStep | None:
        """The coefficients of ``step``; None if its noise is missing or x_0 is limited by dynamic thresholding."""
        linear = self._linear[step]
        if self.config.dynamic_threshold_ratio is not None or (linear.sigma > 0 and noise is None):
            return None
        return linear if noise is None else linear._replace(noise=noise)

    def step(self, step: int, sample: Sample, prediction: Sample, noise: Sample | None = None) -> tuple[Sample, Sample]:
        """One step of eq. 12: from x_t at position ``step`` to the next sample.

        ``sample``, ``prediction`` and ``noise`` are float32 of one shape (B, C, H, W); no argument is written to.
        Returns (next sample, denoised), both float32. ``noise`` is required where σ > 0.
        Raises ConfigError for a wrong shape and for missing noise.
        """
        if prediction.shape != sample.shape:
            raise ConfigError(f"the prediction's shape {prediction.shape} is not the sample's, {sample.shape}")
        if self.is_stochastic(step):
            self._check_noise(step, sample, noise)
        row = self.rows[step]
        denoised = weighted_sum((row.x0_x, row.x0_p), sample, prediction)
        if self._limit:
            denoised = self._limit(denoised)
        weights = row.next_x, row.next_p, row.next_x0, row.sigma
        return weighted_sum(weights, sample, prediction, denoised, noise), denoised

    def _check_noise(self, step: int, sample: Sample, noise: Sample | None) -> None:
        if noise is None:
            sigma = self.rows[step].sigma
            raise ConfigError(f"step {step} has sigma {sigma:.4g} (eta {self.config.eta:g}): pass noise")
        if noise.shape != sample.shape:
            raise ConfigError(f"the noise's shape {noise.shape} is not the sample's, {sample.shape}")


def ddim(schedule: DdimSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called once a step where σ > 0, and required there.

    Where a step is linear except for clipping, the query is a ``StepQuery``: the network's graph may compute the step.
    """
    denoised = None
    for step, timestep in enumerate(schedule.timesteps.tolist()):
        fresh = noise() if noise is not None and schedule.is_stochastic(step) else None
        query, linear = Query(sample, timestep, denoised), schedule.linear_step(step, fresh)
        response = yield query if linear is None else StepQuery.with_step(query, linear)
        if isinstance(response, Stepped):
            sample, denoised = response
        else:
            sample, denoised = schedule.step(step, np.asarray(sample), response, fresh)
    return np.asarray(sample)


def _linear_step(config: DdimConfig, row: Coefficients) -> LinearStep:
    limit = config.clip_range if config.clip_denoised_sample else np.inf
    return LinearStep(row.x0_x, row.x0_p, row.next_x, row.next_p, row.next_x0, row.sigma, limit, None)


_LARGE_ETA = 1e6
"""Above what any schedule has noise for; the square of a larger η could overflow."""


def _coefficient_rows(config: DdimConfig, table: Floats, timesteps: NDArray[np.int64]) -> tuple[Coefficients, ...]:
    now, then = table[timesteps], _previous_alpha_bars(config, table, timesteps)
    variance = min(config.eta, _LARGE_ETA) ** 2 * (1 - then) / (1 - now) * np.maximum(1 - now / then, 0)
    remaining = 1 - then - variance
    if np.any(remaining < -1e-12):
        raise ConfigError(f"eta {config.eta:g} needs more noise than the schedule has: take an eta of at most 1")
    predicted = prediction_columns(config, Levels.preserving(now))
    redo = 1 / np.sqrt(1 - now), -np.sqrt(now) / np.sqrt(1 - now)
    signal, direction = np.sqrt(then), np.sqrt(np.maximum(remaining, 0))
    following = _next_columns(config, predicted, redo, signal, direction)
    columns = (*predicted, *redo, signal, direction, np.sqrt(variance), *following)
    return tuple(Coefficients(*row) for row in np.stack(columns, axis=1).tolist())


def _previous_alpha_bars(config: DdimConfig, table: Floats, timesteps: NDArray[np.int64]) -> Floats:
    """ᾱ at the timestep that each step leads to."""
    if config.transition == "next" or config.timestep_spacing == "quadratic":
        previous = np.append(timesteps[1:], -1)
    else:
        previous = timesteps - config.num_train_steps // len(timesteps)
    return np.where(previous >= 0, table[previous], final_alpha_bar(config, table))


def _next_columns(
    config: DdimConfig, predicted: tuple[Floats, ...], redo: tuple[Floats, ...], signal: Floats, direction: Floats
) -> tuple[Floats, Floats, Floats]:
    """next_x, next_p, next_x0: eq. 12 as a linear function of (x_t, prediction, limited x_0)."""
    x0_x, x0_p, eps_x, eps_p = predicted
    if limit_of(config) is None:
        return signal * x0_x + direction * eps_x, signal * x0_p + direction * eps_p, np.zeros_like(signal)
    if config.rederive_noise:
        return direction * redo[0], np.zeros_like(signal), signal + direction * redo[1]
    return direction * eps_x, direction * eps_p, signal
