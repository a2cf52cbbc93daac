"""Spacings of noise levels: S levels σ from the highest to the lowest, evenly spaced in some function of σ.

In flow matching they space the time t instead, as in diffusers.
"""

from collections.abc import Callable, Mapping

import numpy as np

from ..arrays import Floats
from ..config.sigma_spacing import SigmaSpacing
from ..errors import ConfigError
from .incomplete_beta import beta_quantiles

KARRAS_RHO = 7.0
BETA_SHAPE = 0.6
"""Both parameters of the Beta distribution (Lee et al. 2024, https://arxiv.org/abs/2407.12173)."""


def spaced(spacing: SigmaSpacing, lowest: float, highest: float, num_steps: int) -> Floats:
    """The levels of ``spacing`` from ``highest`` to ``lowest``, float64 (S,), falling.

    Raises ConfigError unless ``lowest``, which one step does not use, is below ``highest``: one of them may be the
    user's, and the other the schedule's.
    """
    if num_steps > 1 and lowest >= highest:
        raise ConfigError(
            f"the noise levels go from sigma_max {highest:.4g} to sigma_min {lowest:.4g}, which must be lower; the one "
            "that is not set is the noise schedule's: set both"
        )
    return _SPACINGS[spacing](lowest, highest, num_steps)


def karras(lowest: float, highest: float, num_steps: int, rho: float = KARRAS_RHO) -> Floats:
    """Karras et al. 2022 (https://arxiv.org/abs/2206.00364), eq. 5 without its final zero: σ^(1/rho) is even."""
    ramp = np.linspace(0, 1, num_steps)
    start, end = highest ** (1 / rho), lowest ** (1 / rho)
    levels: Floats = (start + ramp * (end - start)) ** rho
    return levels


def exponential(lowest: float, highest: float, num_steps: int) -> Floats:
    """Log σ is even, and with it λ, half the log-SNR."""
    levels: Floats = np.exp(np.linspace(np.log(highest), np.log(lowest), num_steps))
    return levels


def beta(lowest: float, highest: float, num_steps: int) -> Floats:
    """The quantiles of Beta(0.6, 0.6): dense at both ends (Lee et al. 2024)."""
    shares = beta_quantiles(1 - np.linspace(0, 1, num_steps), BETA_SHAPE, BETA_SHAPE)
    return lowest + shares * (highest - lowest)


_SPACINGS: Mapping[SigmaSpacing, Callable[[float, float, int], Floats]] = {
    "karras": karras,
    "exponential": exponential,
    "beta": beta,
    "lu": exponential,
}
