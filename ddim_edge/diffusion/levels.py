"""Noise levels: a level is a pair (signal, noise), and a sample at it is x = signal·x_0 + noise·ε.

Three families of models are the same table:

- variance preserving: (sqrt(ᾱ), sqrt(1-ᾱ));
- σ-space, EDM (Karras et al. 2022): (1, σ) times the factor c_in by which the network's input is scaled;
- flow matching: (1-t, t).

A sample is kept as the network is fed with it, so it needs no scaling. Only the ratio σ = noise/signal decides where on
its way a sample is; λ = log(signal/noise) is half the log-SNR.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self, overload

import numpy as np

from ..arrays import Floats


class Level(NamedTuple):
    """One noise level: x = signal·x_0 + noise·ε."""

    signal: float
    noise: float


CLEAN = Level(1.0, 0.0)
"""The level of x_0, at which most runs end."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Noise levels in the order of a run, as two columns: ``signal`` and ``noise``, float64 (S,)."""

    signal: Floats
    noise: Floats

    @classmethod
    def preserving(cls, alpha_bars: Floats) -> Self:
        """Variance preserving levels, from ᾱ."""
        return cls(np.sqrt(alpha_bars), np.sqrt(1 - alpha_bars))

    @classmethod
    def of_sigmas(cls, sigmas: Floats, sigma_data: float = 1.0) -> Self:
        """EDM's levels: (1, σ)·c_in with c_in = 1/sqrt(σ² + σ_data²). For σ_data = 1 they are variance preserving."""
        scale = 1 / np.sqrt(sigmas**2 + sigma_data**2)
        return cls(scale, sigmas * scale)

    @classmethod
    def flow(cls, times: Floats) -> Self:
        """Flow matching's levels, from t in [0, 1]: (1-t, t)."""
        return cls(1 - times, times)

    def ending(self, end: Level) -> "Levels":
        """These levels and, behind them, the level at which the run ends."""
        return Levels(np.append(self.signal, end.signal), np.append(self.noise, end.noise))

    @property
    def sigmas(self) -> Floats:
        """σ = noise/signal: infinite where there is no signal."""
        with np.errstate(divide="ignore"):
            return self.noise / self.signal

    @property
    def half_log_snr(self) -> Floats:
        """λ = log(signal/noise): infinite where there is no noise."""
        with np.errstate(divide="ignore"):
            lambdas: Floats = np.log(self.signal / self.noise)
        return lambdas

    @property
    def alpha_bars(self) -> Floats:
        """signal², which is ᾱ where the levels are variance preserving."""
        return self.signal**2

    def __len__(self) -> int:
        return len(self.signal)

    def __iter__(self) -> Iterator[Level]:
        return map(Level, self.signal.tolist(), self.noise.tolist())

    @overload
    def __getitem__(self, at: int) -> Level: ...
    @overload
    def __getitem__(self, at: slice) -> "Levels": ...
    def __getitem__(self, at: int | slice) -> "Level | Levels":
        if isinstance(at, slice):
            return Levels(self.signal[at], self.noise[at])
        return Level(float(self.signal[at]), float(self.noise[at]))
