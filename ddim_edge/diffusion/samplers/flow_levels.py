"""The times of a run of flow matching: spaced, shifted, perhaps stretched and spaced anew."""

import math

import numpy as np

from ...arrays import Floats
from ...config import FlowConfig, FlowSolverConfig
from ...errors import ConfigError
from ..levels import CLEAN, Levels
from ..spacings import spaced
from .query import Run

LOWEST_TIME = 1e-12
"""The lowest t at which a network is called: a slope is divided by it."""
FROM_NOISE = 1e-6
"""How far below 1 a solver in log-SNR time begins, where the log-SNR is infinite; as in diffusers."""


def flow_levels(config: FlowConfig, num_steps: int) -> Run:
    """The levels of a run of ``num_steps`` steps, as diffusers chooses them; the network is fed T·t.

    Raises ConfigError.
    """
    times = _above_zero(_spaced(config, num_steps))
    if config.sigmas is None or config.shifts_given:
        times = _shifted(config, times)
    if config.shift_terminal is not None:
        times = _stretched(times, config.shift_terminal)
    times = _above_zero(times)
    if config.sigma_spacing:
        times = spaced(config.sigma_spacing, float(times[-1]), float(times[0]), num_steps)
    return _solver_run(config, times) if isinstance(config, FlowSolverConfig) else _run(config, times)


def _above_zero(times: Floats) -> Floats:
    """The times, if the last one is no less than the lowest; else ConfigError."""
    if times[-1] < LOWEST_TIME:
        raise ConfigError(
            f"the last time of this run, {times[-1]:.3g}, must be at least {LOWEST_TIME:g}: change its shift"
        )
    return times


def _run(config: FlowConfig, times: Floats) -> Run:
    return Run(times * config.num_train_steps, Levels.flow(times).ending(CLEAN))


def _solver_run(config: FlowSolverConfig, times: Floats) -> Run:
    if 1 - times[0] < FROM_NOISE:
        times = np.append(times[0] - FROM_NOISE, times[1:])
    levels = Levels.flow(times)
    whole = (times * config.num_train_steps).astype(np.int64)
    return Run(whole, levels.ending(CLEAN if config.final_sigma == "zero" else levels[-1]))


def _spaced(config: FlowConfig, num_steps: int) -> Floats:
    """The times before the shift, float64 (S,)."""
    if config.sigmas is not None:
        return np.interp(np.linspace(0, 1, num_steps), np.linspace(0, 1, len(config.sigmas)), config.sigmas)
    if config.timestep_spacing == "trailing":
        return np.linspace(1, 1 / num_steps, num_steps)
    if isinstance(config, FlowSolverConfig):
        lowest = 1 / config.num_train_steps
        if config.starts_at_noise:
            return np.linspace(1, lowest, num_steps + 1)[:-1]
        return (1 - np.linspace(1, lowest, num_steps + 1))[:0:-1]
    # diffusers shifts the lowest time twice: once as the end of all times, once after this.
    ends = np.array([1.0, 1 / config.num_train_steps])
    first, last = (ends if config.use_dynamic_shifting else _shifted(config, ends)).tolist()
    return np.linspace(first, last, num_steps)


def _shifted(config: FlowConfig, times: Floats) -> Floats:
    # Two forms of one function, each as diffusers writes it: where T·t is rounded down, the last digit counts.
    if config.use_dynamic_shifting:
        shift = dynamic_shift(config)
        return shift / (shift + (1 / times - 1))
    return config.shift * times / (1 + (config.shift - 1) * times)


def _stretched(times: Floats, last: float) -> Floats:
    """The times stretched so that the last one is ``last``."""
    if times[-1] == 1:
        raise ConfigError(f"shift_terminal stretches the times to end below 1, and {len(times)} step has only 1")
    stretched: Floats = 1 - (1 - times) / ((1 - times[-1]) / (1 - last))
    return stretched


def dynamic_shift(config: FlowConfig) -> float:
    """The shift of the image's size: e^μ or μ, with μ linear in the number of tokens."""
    tokens = config.image_seq_len or config.base_image_seq_len
    slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
    mu = config.base_shift + slope * (tokens - config.base_image_seq_len)
    return math.exp(mu) if config.time_shift_type == "exponential" else mu
