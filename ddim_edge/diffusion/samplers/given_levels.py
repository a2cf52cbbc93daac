"""Levels that are given one by one: σ, timesteps, or a list of Align Your Steps (Sabour et al. 2024).

A run of another number of steps has log σ interpolated between them (https://arxiv.org/abs/2404.14507, section 4).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...arrays import Floats
from ...config import NoiseLevelsConfig
from ...config.noise_levels import AlignedFor

ALIGN_YOUR_STEPS: Mapping[AlignedFor, tuple[int, ...]] = {
    "sd15": (999, 850, 736, 645, 545, 455, 343, 233, 124, 24),
    "sdxl": (999, 845, 730, 587, 443, 310, 193, 116, 53, 13),
}
"""Timesteps of the paper's table 4, by the model that they were optimized for."""


class Given(NamedTuple):
    """Positions among the T timesteps, float64 (S,), and σ there."""

    positions: Floats
    sigmas: Floats


def given_levels(config: NoiseLevelsConfig, table: Floats, num_steps: int) -> Given | None:
    """The levels that ``config`` gives, for a run of ``num_steps`` steps; None where it gives none.

    ``table``: σ of the T timesteps, rising.
    """
    every = np.arange(len(table))
    times = ALIGN_YOUR_STEPS[config.align_your_steps] if config.align_your_steps else config.timesteps
    if times is not None and len(times) == num_steps:
        positions = np.array(times, np.float64)
        return Given(positions, np.interp(positions, every, table))
    given = config.sigmas if times is None else np.interp(times, every, table)
    if given is None:
        return None
    places = np.linspace(0, len(given) - 1, num_steps)
    logarithms = np.interp(places, np.arange(len(given)), np.log(given))
    return Given(np.interp(logarithms, np.log(table), every), np.exp(logarithms))
