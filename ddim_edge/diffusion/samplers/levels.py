"""Noise levels of the ODE solvers in log-SNR time, DPM-Solver++ and UniPC.

With λ = ½·log(ᾱ/(1-ᾱ)) for time, the linear part of the probability-flow ODE is solved exactly, and only the predicted
x_0 has to be extrapolated (Lu et al. 2022, https://arxiv.org/abs/2206.00927, section 3).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arrays import Floats
from ...config import OdeSolverConfig
from ...errors import ConfigError
from ..schedule import alpha_bars, select_timesteps

NEARLY_ZERO = 2.0**-24
"""Replaces ᾱ_T = 0, whose log-SNR is infinite; as in diffusers."""
KARRAS_RHO = 7.0
SHORTEST_STEP = 1e-6
"""The shortest step in λ, half the log-SNR: the weights of order 2 divide by its length."""


class Levels(NamedTuple):
    """``timesteps``, int64 (S,), and ``alpha_bars``, float64 (S+1,), whose last value is the end of the run."""

    timesteps: NDArray[np.int64]
    alpha_bars: Floats


def noise_levels(config: OdeSolverConfig, num_steps: int) -> Levels:
    """The levels of a run of ``num_steps`` steps, as diffusers chooses them. Raises ConfigError for equal ones."""
    timesteps, bars = _levels(config, num_steps)
    lengths = np.abs(np.diff(half_log_snr(bars[:-1])))
    if np.any(lengths < SHORTEST_STEP):
        raise ConfigError(
            f"{num_steps} steps of these noise levels are too short for {config.name} (a length of "
            f"{lengths.min():.3g} in log-SNR): take fewer steps, or levels that are further apart"
        )
    return Levels(timesteps, bars)


def _levels(config: OdeSolverConfig, num_steps: int) -> Levels:
    table = alpha_bars(config)
    if config.zero_terminal_snr:
        table[-1] = NEARLY_ZERO
    final = 1.0 if config.final_sigma == "zero" else table[0]
    timesteps = _timesteps(config, num_steps)
    if not config.use_karras_sigmas:
        return Levels(timesteps, np.append(table[timesteps], final))
    # In float32 as in diffusers: near a whole number, the last digit of a position decides the timestep.
    sigmas = np.sqrt((1 - table) / table).astype(np.float32)
    wanted = karras(config.sigma_min or float(sigmas[0]), config.sigma_max or float(sigmas[-1]), num_steps)
    positions = np.interp(np.log(wanted), np.log(sigmas), np.arange(len(sigmas)))
    reached = 1 / (1 + wanted**2)
    if config.final_sigma == "sigma_min" and config.ends_at_last_level:
        final = reached[-1]
    return Levels(_whole_timesteps(config, positions), np.append(reached, final))


def half_log_snr(alpha_bar: Floats) -> Floats:
    """λ = ½·log(ᾱ/(1-ᾱ)), infinite at ᾱ = 1."""
    with np.errstate(divide="ignore"):
        half: Floats = np.log(alpha_bar / (1 - alpha_bar)) / 2
    return half


def _timesteps(config: OdeSolverConfig, num_steps: int) -> NDArray[np.int64]:
    """The usual spacings; those that end at timestep 0 are made with one more timestep, and 0 is left out."""
    if config.timestep_spacing == "trailing":
        return select_timesteps(config, num_steps)
    if num_steps == config.num_train_steps:
        raise ConfigError(
            f"{config.name} with {config.timestep_spacing} spacing makes at most {num_steps - 1} steps of "
            f"{num_steps} training steps: take fewer, or trailing spacing"
        )
    return select_timesteps(config, num_steps + 1)[:-1]


def karras(lowest: float, highest: float, num_steps: int) -> Floats:
    """Karras et al. 2022 (https://arxiv.org/abs/2206.00364), eq. 5 without its final zero.

    Raises ConfigError unless ``lowest``, which one step does not use, is below ``highest``: one of them may be the
    user's, and the other the schedule's.
    """
    if num_steps > 1 and lowest >= highest:
        raise ConfigError(
            f"the noise levels go from sigma_max {highest:.4g} to sigma_min {lowest:.4g}, which must be lower; the one "
            "that is not set is the noise schedule's: set both"
        )
    ramp = np.linspace(0, 1, num_steps)
    start, end = highest ** (1 / KARRAS_RHO), lowest ** (1 / KARRAS_RHO)
    levels: Floats = (start + ramp * (end - start)) ** KARRAS_RHO
    return levels


def _whole_timesteps(config: OdeSolverConfig, positions: Floats) -> NDArray[np.int64]:
    truncates = config.truncates_cosine_timesteps and config.beta_schedule == "squared_cosine"
    return (positions if truncates else positions.round()).astype(np.int64)
