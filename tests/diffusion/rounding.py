"""Numbers that know how far float32 arithmetic may end from them (running error analysis, Higham 2002, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

UNIT = 2.0**-23
"""One unit in the last place of a float32, twice what a single correctly rounded operation may lose."""


@dataclass(frozen=True)
class Rounded:
    """``value`` is computed in float64; the same operations in float32 end within ``error`` of it."""

    value: Floats
    error: Floats

    def __add__(self, other: Rounded) -> Rounded:
        return _rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other: Rounded) -> Rounded:
        return _rounded(self.value - other.value, self.error + other.error)

    def __mul__(self, other: Rounded) -> Rounded:
        error = abs(self.value) * other.error + abs(other.value) * self.error + self.error * other.error
        return _rounded(self.value * other.value, error)

    def __truediv__(self, other: Rounded) -> Rounded:
        value = self.value / other.value
        return _rounded(value, (self.error + abs(value) * other.error) / (abs(other.value) - other.error))

    def sqrt(self) -> Rounded:
        value = np.sqrt(np.maximum(self.value, 0))
        above = np.sqrt(np.maximum(self.value, 0) + self.error) - value
        below = value - np.sqrt(np.maximum(self.value - self.error, 0))
        return _rounded(value, np.maximum(above, below))

    def clip(self, low: ArrayLike, high: ArrayLike) -> Rounded:
        value = np.clip(self.value, low, high)
        above = np.clip(self.value + self.error, low, high) - value
        return Rounded(value, np.maximum(above, value - np.clip(self.value - self.error, low, high)))


def exact(value: ArrayLike, error: ArrayLike = 0.0) -> Rounded:
    """A number as it stands, or one that is already off by ``error``."""
    return Rounded(np.asarray(value, np.float64), np.asarray(error, np.float64))


def _rounded(value: Floats, error: Floats) -> Rounded:
    return Rounded(value, error + UNIT * (abs(value) + error))
