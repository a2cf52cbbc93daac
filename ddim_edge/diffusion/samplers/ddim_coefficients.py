"""Options of DDIM, and the coefficients of its steps that follow from them: eq. 12 and 16 (see ``ddim``)."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arrays import Floats
from ...config import ClipConfig, Transition, number
from ...errors import ConfigError
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import final_alpha_bar, prediction_columns


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


_LARGE_ETA = 1e6
"""Above what any schedule has noise for; the square of a larger η could overflow."""


def coefficient_rows(config: DdimConfig, table: Floats, timesteps: NDArray[np.int64]) -> tuple[Coefficients, ...]:
    """One row a step, from ᾱ of all training timesteps and the timesteps of the run. Raises ConfigError."""
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
