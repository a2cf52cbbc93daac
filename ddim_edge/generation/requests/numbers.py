"""Checks of a request's numbers."""

from numbers import Real
from typing import cast

from ...errors import ConfigError, shown


def at_least_0(name: str, value: object, high: float = 1e9) -> None:
    """Raise ConfigError unless ``value`` is a number from 0 to ``high``."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= cast(float, value) <= high:
        limits = "of at least 0" if high > 1 else "from 0 to 1"
        raise ConfigError(f"{name} must be a number {limits}, not {shown(value)}")


def check_interval(interval: object) -> None:
    """Raise ConfigError unless a ``guidance_interval`` is None, or two noise levels, the lower one first."""
    if interval is None:
        return
    if not isinstance(interval, tuple) or len(interval) != 2:
        raise ConfigError(f"guidance_interval must be two noise levels, not {shown(interval)}")
    low, high = interval
    at_least_0("guidance_interval's lower level", low)
    at_least_0("guidance_interval's upper level", high)
    if low >= high:
        raise ConfigError(f"guidance_interval must go from a lower to a higher level, not from {low:g} to {high:g}")
