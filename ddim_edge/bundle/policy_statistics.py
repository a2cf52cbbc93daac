"""Policy statistics: what maps observations and actions to what a policy was trained on, and back.

With ε = 1e-8, as LeRobot has it::

    mean_std: (v - mean) / (std + ε)              back: v · std + mean
    min_max:  2 · (v - min) / (max - min) - 1     back: (v + 1) / 2 · (max - min) + min
    identity: v

Where max - min is 0, it counts as ε.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np

from ..arrays import Sample
from ..errors import ConfigError, choose_from, shown

Mode = Literal["mean_std", "min_max", "identity"]

_EPSILON = np.float32(1e-8)
_USUAL_DEVIATIONS = 4.0
"""The trained range, in standard deviations to both sides, where a file has only mean and std."""
_STATISTICS: Mapping[str, tuple[str, str]] = {"mean_std": ("mean", "std"), "min_max": ("min", "max")}


class Range(NamedTuple):
    """The lowest and the highest value of the training data, float64, in the data's units."""

    low: Any
    high: Any


@dataclass(frozen=True, eq=False)
class Statistics:
    """The statistics of one observation, or of the actions: float32 arrays that broadcast to its shape.

    Attributes:
        mode: ``mean_std``, ``min_max``, or ``identity``.
        values: mean and std, or min and max; empty for ``identity``.
        trained: the range of the training data; None where it is not known.
    """

    mode: Mode = "identity"
    values: tuple[Sample, ...] = ()
    trained: Range | None = None

    @classmethod
    def read(cls, keys: Mapping[str, Any], shape: tuple[int, ...], where: str) -> Self:
        """The entry ``normalization`` of policy.json. ConfigError for a wrong one; ``where`` names it."""
        mode = keys.get("mode", "identity")
        if mode not in get_args(Mode):
            raise ConfigError(choose_from(f"{where}'s mode", mode, get_args(Mode)))
        found = {name: _statistic(keys[name], shape, f"{where}'s {name}") for name in _names_in(keys)}
        missing = [name for name in _STATISTICS.get(mode, ()) if name not in found]
        if missing:
            raise ConfigError(f"{where} has the mode {mode}, and no {missing[0]}: give it")
        if np.any(found.get("std", 0) < 0) or np.any(found.get("max", 0) < found.get("min", -np.inf)):
            raise ConfigError(f"{where}: a std must be 0 or more, and a max not below its min")
        return cls(mode, tuple(found[name] for name in _STATISTICS.get(mode, ())), _trained(found))

    def normalized(self, values: Sample) -> Sample:
        """What the policy was trained on, float32, from ``values`` in the data's units."""
        if self.mode == "identity":
            return values
        first, second = self.values
        if self.mode == "mean_std":
            return (values - first) / (second + _EPSILON)
        return 2 * (values - first) / _width(first, second) - 1

    def restored(self, values: Sample) -> Sample:
        """The inverse of ``normalized``."""
        if self.mode == "identity":
            return values
        first, second = self.values
        if self.mode == "mean_std":
            return values * second + first
        return (values + 1) / np.float32(2) * _width(first, second) + first


def _width(low: Sample, high: Sample) -> Sample:
    width = high - low
    return np.where(width == 0, _EPSILON, width).astype(np.float32)


def _names_in(keys: Mapping[str, Any]) -> list[str]:
    return [name for pair in _STATISTICS.values() for name in pair if keys.get(name) is not None]


def _statistic(value: Any, shape: tuple[int, ...], where: str) -> Sample:
    """A statistic as an array. ConfigError unless it is finite numbers that broadcast to ``shape``."""
    try:
        array = np.asarray(value, np.float32)
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except (TypeError, ValueError, OverflowError):  # no numbers, lists of different lengths, or other shapes
        raise ConfigError(f"{where} must be numbers for the shape {shape}, not {shown(value)}") from None
    if not fits or not np.isfinite(array).all():
        raise ConfigError(f"{where} must be finite numbers for the shape {shape}, not {shown(value)}")
    return array


def _trained(found: Mapping[str, Sample]) -> Range | None:
    """The range of the data; without min and max, four standard deviations to both sides of the mean."""
    if {"min", "max"} <= found.keys():
        return Range(found["min"].astype(np.float64), found["max"].astype(np.float64))
    if {"mean", "std"} <= found.keys():
        mean, reach = found["mean"].astype(np.float64), _USUAL_DEVIATIONS * found["std"].astype(np.float64)
        return Range(mean - reach, mean + reach)
    return None
