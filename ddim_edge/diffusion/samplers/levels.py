"""Noise levels of the ODE solvers in log-SNR time, such as DPM-Solver++ and UniPC.

With λ = log(signal/noise) for time, the linear part of the probability-flow ODE is solved exactly, and only the
predicted x_0 has to be extrapolated (Lu et al. 2022, https://arxiv.org/abs/2206.00927, section 3).
"""

import numpy as np
from numpy.typing import NDArray

from ...arrays import Floats
from ...config import OdeSolverConfig, SamplerOptions
from ...errors import ConfigError
from ..levels import Levels
from ..schedule import first_step, nonzero_alpha_bars, select_timesteps
from ..spacings import spaced
from .given_levels import given_levels
from .query import Run
from .run_levels import levels_of

ROUNDING = 1e-3
"""Added to a position before it is rounded down: for the last timestep, 999, float32 can give 998.9999. In diffusers
it does so for a cosine's levels, and not for the others."""
SHORTEST_STEP = 1e-6
"""The shortest step in λ, half the log-SNR: the weights of order 2 divide by its length."""


def ode_levels_of(config: SamplerOptions, num_steps: int, strength: float = 1.0) -> Run:
    """The levels of a run as ``levels_of``, for betas as diffusers' solvers in log-SNR time choose them.

    They leave the last timestep out, and their timesteps are whole. Raises ConfigError for equal levels.
    """
    run = _ode_levels(config, num_steps) if isinstance(config, OdeSolverConfig) else levels_of(config, num_steps)
    lengths = np.abs(np.diff(run.levels[:-1].half_log_snr))
    if np.any(lengths < SHORTEST_STEP):
        raise ConfigError(
            f"{num_steps} steps of these noise levels are too short for {config.name} (a length of "
            f"{lengths.min():.3g} in log-SNR): take fewer steps, or levels that are further apart"
        )
    return run.after(first_step(num_steps, strength))


def _ode_levels(config: OdeSolverConfig, num_steps: int) -> Run:
    table = nonzero_alpha_bars(config)
    final = 1.0 if config.final_sigma == "zero" else float(table[0])
    given = given_levels(config, np.maximum.accumulate(np.sqrt((1 - table) / table)), num_steps)
    if given is not None:
        levels = Levels.of_sigmas(given.sigmas).ending(Levels.preserving(np.array([final]))[0])
        return Run(given.positions.round().astype(np.int64), levels)
    timesteps = _timesteps(config, num_steps, _kept(config, table))
    if config.sigma_spacing is None:
        return Run(timesteps, Levels.preserving(np.append(table[timesteps], final)))
    # In float32 as in diffusers: near a whole number, the last digit of a position decides the timestep.
    sigmas = np.sqrt((1 - table) / table).astype(np.float32)
    wanted = spaced(config.sigma_spacing, *_ends(config, sigmas), num_steps)
    positions = np.interp(np.log(wanted), np.log(sigmas), np.arange(len(sigmas)))
    reached = 1 / (1 + wanted**2)
    if config.final_sigma == "sigma_min" and config.ends_at_last_level:
        final = reached[-1]
    return Run(_whole_timesteps(config, positions), Levels.preserving(np.append(reached, final)))


def _ends(config: OdeSolverConfig, sigmas: NDArray[np.float32]) -> tuple[float, float]:
    """The lowest and the highest σ. ``lu`` takes the schedule's own, as in diffusers."""
    own = float(sigmas[0]), float(sigmas[-1])
    return own if config.sigma_spacing == "lu" else (config.sigma_min or own[0], config.sigma_max or own[1])


def _kept(config: OdeSolverConfig, table: Floats) -> int:
    """How many training timesteps ``lambda_min_clipped`` leaves: those with less noise."""
    if config.lambda_min_clipped is None:
        return len(table)
    lambdas = Levels.preserving(table).half_log_snr
    return len(table) - int(np.searchsorted(lambdas[::-1], config.lambda_min_clipped))


def _timesteps(config: OdeSolverConfig, num_steps: int, kept: int) -> NDArray[np.int64]:
    """The usual spacings; those that end at timestep 0 are made with one more timestep, and 0 is left out."""
    if config.timestep_spacing == "trailing" and kept == config.num_train_steps:
        return select_timesteps(config, num_steps)
    if config.timestep_spacing == "trailing":
        raise ConfigError(
            f"lambda_min_clipped {config.lambda_min_clipped:g} does not work with timestep_spacing 'trailing', whose "
            "first timesteps it would leave out: take linspace or leading"
        )
    if kept != config.num_train_steps and num_steps >= kept:
        raise ConfigError(
            f"lambda_min_clipped {config.lambda_min_clipped:g} leaves {kept} of {config.num_train_steps} training "
            f"timesteps, and {num_steps} steps need more: take fewer steps, or a lower value"
        )
    if num_steps == config.num_train_steps:
        raise ConfigError(
            f"{config.name} with {config.timestep_spacing} spacing makes at most {num_steps - 1} steps of "
            f"{num_steps} training steps: take fewer, or trailing spacing"
        )
    return select_timesteps(config, num_steps + 1, kept)[:-1]


def _whole_timesteps(config: OdeSolverConfig, positions: Floats) -> NDArray[np.int64]:
    """As in diffusers, which rounds the timesteps of Karras and lu levels, and rounds those of others down."""
    cosine = config.beta_schedule == "squared_cosine"
    if config.sigma_spacing in ("karras", "lu") and not (cosine and config.truncates_cosine_timesteps):
        return positions.round().astype(np.int64)
    missed = cosine and config.sigma_spacing != "lu"
    return (positions if missed else positions + ROUNDING).astype(np.int64)
