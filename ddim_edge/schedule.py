"""The noise schedule: from betas to the table of coefficients that every DDIM step reads.

The forward process is q(x_t | x_0) = N(sqrt(ᾱ_t) x_0, (1-ᾱ_t) I) with ᾱ_t = ∏ (1-β_s). Every prediction type is linear
in (x_t, prediction), so all choices end in one float64 row of coefficients a step, and the step has no mode branches.
Equation numbers are those of DDIM (Song, Meng, Ermon 2020, https://arxiv.org/abs/2010.02502).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .config import DdimConfig, NoiseScheduleConfig
from .errors import ConfigError

Floats = NDArray[np.float64]
Sample = NDArray[np.float32]


class Coefficients(NamedTuple):
    """One step's row: x_0 and ε from (x_t, prediction), then eq. 12 to the next sample."""

    x0_x: float
    x0_p: float
    eps_x: float
    eps_p: float
    redo_x: float
    """1/sqrt(1-ᾱ_t): ε again, from x_t …"""
    redo_x0: float
    """… and a clipped x_0: -sqrt(ᾱ_t)/sqrt(1-ᾱ_t)."""
    signal: float
    """sqrt(ᾱ_t'), the weight of x_0 in eq. 12."""
    direction: float
    """sqrt(1-ᾱ_t'-σ²), the weight of ε."""
    sigma: float
    """σ of eq. 16, the weight of fresh noise."""
    next_x: float
    next_p: float
    next_x0: float
    """Eq. 12 without its noise, multiplied out: the weights of x_t, of the prediction and of the limited x_0."""


class DdimSchedule:
    """DDIM over ``num_steps`` of the T training timesteps, as a table built once.

    Attributes:
        config: the options that the table was built from.
        timesteps: int64 (S,), descending: what the network is fed, step by step.
        alpha_bars: float64 (T,): ᾱ.
        rows: the S rows of coefficients.

    Raises ConfigError where the options and the number of steps do not go together.
    """

    def __init__(self, config: DdimConfig, num_steps: int) -> None:
        self.config = config
        self.alpha_bars = alpha_bars(config, zero_terminal_snr=config.zero_terminal_snr)
        self.timesteps = select_timesteps(config, num_steps)
        self.rows = _coefficient_rows(config, self.alpha_bars, self.timesteps)
        self._limits = _limits_denoised(config)

    @property
    def num_steps(self) -> int:
        return len(self.rows)

    def is_stochastic(self, step: int) -> bool:
        """Whether ``step`` adds fresh noise, and so must be given some."""
        return self.rows[step].sigma > 0

    def step(self, step: int, sample: Sample, prediction: Sample, noise: Sample | None = None) -> tuple[Sample, Sample]:
        """One step of eq. 12: from x_t at position ``step`` to the next sample.

        ``sample``, ``prediction`` and ``noise`` are float32 of one shape (B, C, H, W); no argument is written to.
        Returns (next sample, denoised), both float32. ``noise`` is required where σ > 0: ConfigError without.
        """
        if prediction.shape != sample.shape:
            raise ConfigError(f"the prediction's shape {prediction.shape} is not the sample's, {sample.shape}")
        row = self.rows[step]
        denoised: Sample = row.x0_x * sample + row.x0_p * prediction
        previous: Sample = row.next_x * sample + row.next_p * prediction
        if self._limits:
            denoised = self._limit(denoised)
            previous += row.next_x0 * denoised
        if row.sigma > 0:
            if noise is None:
                raise ConfigError(f"step {step} has sigma {row.sigma:.4g} (eta {self.config.eta:g}): pass noise")
            if noise.shape != sample.shape:
                raise ConfigError(f"the noise's shape {noise.shape} is not the sample's, {sample.shape}")
            previous += row.sigma * noise
        return previous, denoised

    def _limit(self, denoised: Sample) -> Sample:
        """Threshold or clip x_0, as the config says; may write to its argument."""
        if self.config.dynamic_threshold_ratio is not None:
            return self._threshold(denoised, self.config.dynamic_threshold_ratio)
        limit = self.config.clip_range
        # Two ufuncs: np.clip costs several times as much on arrays of this size.
        return np.minimum(np.maximum(denoised, -limit, out=denoised), limit, out=denoised)

    def _threshold(self, denoised: Sample, ratio: float) -> Sample:
        """Dynamic thresholding (Saharia et al. 2022, section 2.3): per image, clip to a quantile and scale to ±1."""
        magnitudes = np.abs(denoised).reshape(len(denoised), -1)
        limits = np.clip(np.quantile(magnitudes, ratio, axis=1), 1, self.config.dynamic_threshold_max)
        ranges = limits.astype(np.float32).reshape(-1, *(1,) * (denoised.ndim - 1))
        scaled: Sample = np.clip(denoised, -ranges, ranges) / ranges
        return scaled


def alpha_bars(config: NoiseScheduleConfig, *, zero_terminal_snr: bool = False) -> Floats:
    """ᾱ_0 … ᾱ_{T-1}, float64 (T,)."""
    table = np.cumprod(1 - _betas(config), dtype=np.float64)
    return _to_zero_terminal_snr(table) if zero_terminal_snr else table


def _betas(config: NoiseScheduleConfig) -> Floats:
    count = config.num_train_steps
    if config.trained_betas is not None:
        return np.array(config.trained_betas)
    if config.beta_schedule == "linear":
        return np.linspace(config.beta_start, config.beta_end, count)
    if config.beta_schedule == "quadratic":
        return np.linspace(math.sqrt(config.beta_start), math.sqrt(config.beta_end), count) ** 2
    curve: Floats = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * math.pi / 2) ** 2
    return np.minimum(1 - curve[1:] / curve[:-1], 0.999)


def _to_zero_terminal_snr(table: Floats) -> Floats:
    """Shift and scale sqrt(ᾱ) so that its last value is 0 and its first stays (Lin et al. 2023, algorithm 1)."""
    roots = np.sqrt(table)
    rescaled: Floats = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    return rescaled**2


def select_timesteps(config: NoiseScheduleConfig, num_steps: int) -> NDArray[np.int64]:
    """The ``num_steps`` training timesteps that a run visits, int64 (S,), strictly descending."""
    total = config.num_train_steps
    if isinstance(num_steps, bool) or not isinstance(num_steps, (int, np.integer)) or not 1 <= num_steps <= total:
        raise ConfigError(f"the number of steps must be a whole number from 1 to {total}, not {num_steps!r}")
    if config.timestep_spacing == "trailing":
        # diffusers' own arange, so that ties round as they do there; it ends in one value too many for some S.
        return np.round(np.arange(total, 0, -total / num_steps)[:num_steps]).astype(np.int64) - 1
    if config.timestep_spacing == "linspace":
        return np.linspace(0, total - 1, num_steps).round()[::-1].astype(np.int64)
    if config.timestep_spacing == "quadratic":
        return _quadratic_timesteps(total, num_steps)
    return _leading_timesteps(config, num_steps)


def _leading_timesteps(config: NoiseScheduleConfig, num_steps: int) -> NDArray[np.int64]:
    total, offset = config.num_train_steps, config.timesteps_offset
    timesteps = np.arange(num_steps, dtype=np.int64)[::-1] * (total // num_steps) + offset
    if timesteps[0] >= total:
        raise ConfigError(
            f"timesteps_offset {offset} with {num_steps} steps reaches timestep {timesteps[0]}, past the last "
            f"training timestep {total - 1}: take fewer steps, a smaller offset, or another timestep_spacing"
        )
    return timesteps


def _quadratic_timesteps(total: int, num_steps: int) -> NDArray[np.int64]:
    """τ_i = floor(c·i²) with c so that the last is T-1 (DDIM, appendix D.2), moved up where two would be the same."""
    positions = np.arange(num_steps)
    curve = np.floor((total - 1) * np.square(positions / max(num_steps - 1, 1))).astype(np.int64)
    rising = np.maximum.accumulate(curve - positions) + positions
    return rising[::-1].copy() if num_steps > 1 else np.array([total - 1])


def _previous_alpha_bars(config: DdimConfig, table: Floats, timesteps: NDArray[np.int64]) -> Floats:
    """ᾱ at the timestep that each step leads to; before the first timestep it is 1 or ᾱ_0."""
    if config.transition == "next" or config.timestep_spacing == "quadratic":
        previous = np.append(timesteps[1:], -1)
    else:
        previous = timesteps - config.num_train_steps // len(timesteps)
    final = 1.0 if config.alpha_clip_strategy == "one" else table[0]
    return np.where(previous >= 0, table[previous], final)


def _coefficient_rows(config: DdimConfig, table: Floats, timesteps: NDArray[np.int64]) -> tuple[Coefficients, ...]:
    now, then = table[timesteps], _previous_alpha_bars(config, table, timesteps)
    variance = config.eta**2 * (1 - then) / (1 - now) * np.maximum(1 - now / then, 0)
    remaining = 1 - then - variance
    if np.any(remaining < -1e-12):
        raise ConfigError(f"eta {config.eta:g} asks for more noise than the schedule holds: take one of at most 1")
    predicted = _prediction_columns(config, now)
    redo = 1 / np.sqrt(1 - now), -np.sqrt(now) / np.sqrt(1 - now)
    signal, direction = np.sqrt(then), np.sqrt(np.maximum(remaining, 0))
    sigma = np.sqrt(variance if not config.large_variance else np.where(variance > 0, 1 - now / then, 0))
    following = _next_columns(config, predicted, redo, signal, direction)
    columns = (*predicted, *redo, signal, direction, sigma, *following)
    return tuple(Coefficients(*row) for row in np.stack(columns, axis=1).tolist())


def _next_columns(
    config: DdimConfig, predicted: tuple[Floats, ...], redo: tuple[Floats, ...], signal: Floats, direction: Floats
) -> tuple[Floats, Floats, Floats]:
    """next_x, next_p, next_x0: eq. 12 as a linear function of (x_t, prediction, limited x_0)."""
    x0_x, x0_p, eps_x, eps_p = predicted
    if not _limits_denoised(config):
        return signal * x0_x + direction * eps_x, signal * x0_p + direction * eps_p, np.zeros_like(signal)
    if config.rederive_noise:
        return direction * redo[0], np.zeros_like(signal), signal + direction * redo[1]
    return direction * eps_x, direction * eps_p, signal


def _limits_denoised(config: DdimConfig) -> bool:
    return config.clip_denoised_sample or config.dynamic_threshold_ratio is not None


def _prediction_columns(config: DdimConfig, now: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """x0_x, x0_p, eps_x, eps_p: x_0 and ε as linear functions of (x_t, prediction)."""
    alpha, sigma = np.sqrt(now), np.sqrt(1 - now)
    zero, one = np.zeros_like(now), np.ones_like(now)
    if config.prediction_type == "angular_velocity":
        return alpha, -sigma, sigma, alpha
    if config.prediction_type == "sample":
        return zero, one, 1 / sigma, -alpha / sigma
    if np.any(now == 0):
        raise ConfigError(
            "with prediction_type 'noise' a sample of zero signal-to-noise ratio has no finite x_0: zero_terminal_snr "
            "needs 'angular_velocity' or 'sample', or timesteps that leave out the last"
        )
    return 1 / alpha, -sigma / alpha, zero, one
