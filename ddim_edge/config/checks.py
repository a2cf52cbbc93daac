"""Checks of single values. Each raises ConfigError with what was wrong and what was expected."""

import dataclasses
import math
import sys
from itertools import pairwise
from typing import Any, get_args

from ..errors import ConfigError, shown
from .diffusers_names import unknown_value


def check_field(field: dataclasses.Field[Any], value: object) -> None:
    """Check that a Literal field has one of its choices, and a bool field a bool."""
    choices = get_args(field.type)
    if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
        raise unknown_value(field.name, value, choices)
    if field.type is bool and not isinstance(value, bool):
        raise ConfigError(f"{field.name} must be true or false, not {shown(value)}")


def whole_number(name: str, value: object, low: int, high: int | None = None) -> None:
    """Check that ``value`` is a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be a whole number, not {shown(value)}")
    if value < low or (high is not None and value > high):
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ConfigError(f"{name} must be {limits}, not {shown(value)}")


def falling(name: str, value: object) -> tuple[float, ...]:
    """``value`` as a tuple of numbers. Raises ConfigError unless it is a list of numbers, each below the one before."""
    try:
        numbers = tuple(float(entry) for entry in value)  # type: ignore[attr-defined]  # which is caught
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{name} must be a list of numbers, not {shown(value)}") from None
    if not numbers or any(not later < earlier for earlier, later in pairwise(numbers)):
        raise ConfigError(f"{name} must fall, each number below the one before, and have at least one: {shown(value)}")
    return numbers


def number(name: str, value: object, low: float, high: float = math.inf, *, open_interval: bool = False) -> None:
    """Check that ``value`` is a finite number in [low, high], or in (low, high) with ``open_interval``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise ConfigError(f"{name} must be a finite number, not {shown(value)}")
    inside = low < value < high if open_interval else low <= value <= high
    if not inside:
        between = f"between {low:g} and {high:g}" if open_interval else f"from {low:g} to {high:g}"
        limits = between if high < math.inf else f"{'above' if open_interval else 'of at least'} {low:g}"
        raise ConfigError(f"{name} must be a number {limits}, not {shown(value)}")
