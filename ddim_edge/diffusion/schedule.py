"""The noise schedule: betas, ᾱ, timesteps, and x_0 and ε as linear functions, for all samplers.

The forward process is q(x_t | x_0) = N(signal·x_0, noise² I); with betas, signal² = ᾱ_t = ∏ (1-β_s). Every prediction
type is linear in (x_t, prediction), so each sampler's options become float64 rows of coefficients, and its steps have
no branches.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats
from ..config import EdmConfig, NoiseScheduleConfig, SamplerOptions, ThresholdConfig
from ..config.checks import number
from ..errors import ConfigError, shown
from .levels import Levels

LOWEST_ALPHA_BAR = 1e-50
"""Below it, 1/sqrt(ᾱ) would bring float32 samples near their largest value."""


NEARLY_ZERO = 2.0**-24
"""Replaces ᾱ_T = 0 in samplers that need its log-SNR; as in diffusers."""


def alpha_bars(config: NoiseScheduleConfig) -> Floats:
    """ᾱ_0 … ᾱ_{T-1}, float64 (T,). Raises ConfigError for betas that leave no signal."""
    table = np.cumprod(1 - _betas(config), dtype=np.float64)
    if table[-1] < LOWEST_ALPHA_BAR:
        raise ConfigError(
            f"the betas leave a signal of only ᾱ = {table[-1]:.3g} at the last of {len(table)} training timesteps, "
            f"below {LOWEST_ALPHA_BAR:g}: give smaller betas, or fewer training timesteps"
        )
    ends_in_noise = isinstance(config, ThresholdConfig) and config.zero_terminal_snr
    return _to_zero_terminal_snr(table) if ends_in_noise else table


def nonzero_alpha_bars(config: ThresholdConfig) -> Floats:
    """ᾱ with a small number in place of ᾱ_T = 0, whose log-SNR is infinite."""
    table = alpha_bars(config)
    if config.zero_terminal_snr:
        table[-1] = NEARLY_ZERO
    return table


def final_alpha_bar(config: NoiseScheduleConfig, table: Floats) -> float:
    """ᾱ after the last step of a run, before the first timestep: 1 or ᾱ_0."""
    return 1.0 if config.alpha_clip_strategy == "one" else float(table[0])


def _betas(config: NoiseScheduleConfig) -> Floats:
    count = config.num_train_steps
    if config.trained_betas is not None:
        return np.array(config.trained_betas)
    if config.beta_schedule == "linear":
        return np.linspace(config.beta_start, config.beta_end, count)
    if config.beta_schedule == "quadratic":
        return np.linspace(math.sqrt(config.beta_start), math.sqrt(config.beta_end), count) ** 2
    if config.beta_schedule == "sigmoid":
        rise: Floats = 1 / (1 + np.exp(-np.linspace(-6, 6, count)))
        return config.beta_start + rise * (config.beta_end - config.beta_start)
    curve: Floats = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * math.pi / 2) ** 2
    return np.minimum(1 - curve[1:] / curve[:-1], 0.999)


def _to_zero_terminal_snr(table: Floats) -> Floats:
    """Shift and scale sqrt(ᾱ) so that its last value is 0 and its first stays (Lin et al. 2023, algorithm 1)."""
    if len(table) == 1:
        raise ConfigError("zero_terminal_snr needs at least 2 training timesteps: the first one keeps its ᾱ")
    roots = np.sqrt(table)
    rescaled: Floats = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    return rescaled**2


def select_timesteps(config: NoiseScheduleConfig, num_steps: int, total: int | None = None) -> NDArray[np.int64]:
    """The ``num_steps`` training timesteps of a run, int64 (S,), strictly descending. Raises ConfigError.

    ``total``: how many of the training timesteps there are to choose from, the first ones; by default all.
    """
    total = config.num_train_steps if total is None else total
    if isinstance(num_steps, bool) or not isinstance(num_steps, (int, np.integer)) or not 1 <= num_steps <= total:
        raise ConfigError(f"the number of steps must be a whole number from 1 to {total}, not {shown(num_steps)}")
    if config.timestep_spacing == "trailing":
        # The same arange as in diffusers, so that ties round as there; for some S it has one value too many.
        return np.round(np.arange(total, 0, -total / num_steps)[:num_steps]).astype(np.int64) - 1
    if config.timestep_spacing == "linspace":
        return np.linspace(0, total - 1, num_steps).round()[::-1].astype(np.int64)
    if config.timestep_spacing == "quadratic":
        return _quadratic_timesteps(total, num_steps)
    return _leading_timesteps(config, num_steps, total)


def _leading_timesteps(config: NoiseScheduleConfig, num_steps: int, total: int) -> NDArray[np.int64]:
    offset = config.timesteps_offset
    timesteps = np.arange(num_steps, dtype=np.int64)[::-1] * (total // num_steps) + offset
    if timesteps[0] >= config.num_train_steps:
        raise ConfigError(
            f"timesteps_offset {offset} with {num_steps} steps reaches timestep {timesteps[0]}, past the last "
            f"training timestep {config.num_train_steps - 1}: take fewer steps, a smaller offset, or another "
            "timestep_spacing"
        )
    return timesteps


def _quadratic_timesteps(total: int, num_steps: int) -> NDArray[np.int64]:
    """τ_i = floor(c·i²) with c so that the last is T-1 (DDIM, appendix D.2); equal values are moved up to differ."""
    positions = np.arange(num_steps)
    curve = np.floor((total - 1) * np.square(positions / max(num_steps - 1, 1))).astype(np.int64)
    rising = np.maximum.accumulate(curve - positions) + positions
    return rising[::-1].copy() if num_steps > 1 else np.array([total - 1])


def first_step(num_steps: int, strength: float) -> int:
    """The first step of a run that changes an image by ``strength``, as in diffusers' image-to-image.

    A strength of 1 begins at step 0, from noise alone. Raises ConfigError outside (0, 1] and if no step is left.
    """
    number("strength", strength, low=0, high=1)
    left = min(int(num_steps * strength), num_steps)
    if left < 1:
        raise ConfigError(
            f"strength {strength:g} of {num_steps} steps leaves no step: take a strength of at least "
            f"{1 / num_steps:.3g}, or more steps"
        )
    return num_steps - left


def prediction_columns(config: SamplerOptions, levels: Levels) -> tuple[Floats, Floats, Floats, Floats]:
    """x0_x, x0_p, eps_x, eps_p: x_0 and ε as linear functions of (x_t, prediction), at each of ``levels``.

    They solve x = signal·x_0 + noise·ε together with what the network is trained to predict. Raises ConfigError if x_0
    has no finite value.
    """
    signal, noise = levels.signal, levels.noise
    zero, one = np.zeros_like(signal), np.ones_like(signal)
    data = config.sigma_data if isinstance(config, EdmConfig) else 1.0
    if config.prediction_type == "angular_velocity":
        return data**2 * signal, -data * noise, noise, data * signal
    if config.prediction_type == "edm":
        return data**2 * signal, data * noise, noise, -data * signal
    if config.prediction_type == "flow":
        return one / (signal + noise), -noise / (signal + noise), one / (signal + noise), signal / (signal + noise)
    if config.prediction_type == "sample":
        return zero, one, 1 / noise, -signal / noise
    if np.any(signal == 0):
        raise ConfigError(
            "with prediction_type 'noise' a sample of zero signal-to-noise ratio has no finite x_0: zero_terminal_snr "
            "needs 'angular_velocity' or 'sample', or timesteps that leave out the last"
        )
    return 1 / signal, -noise / signal, zero, one
