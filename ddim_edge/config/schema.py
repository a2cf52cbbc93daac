"""Schema: the types and bounds of a JSON object's values, as a mapping from key to check.

A key that the schema does not name is not checked, and a key may be missing or null: the code that reads the object
knows what it needs. An example::

    check_json(values, {"sample_size": whole(1, 2**16), "id2label": mapping_of(text())}, "unet/config.json")
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigError, shown
from .checks import number, whole_number

Check = Callable[[str, Any], None]
"""Raises ConfigError, with the value's name in the message, for a value that is not allowed."""

MAX_ITEMS = 1_000_000


def check_json(values: Mapping[str, Any], schema: Mapping[str, Check], where: str) -> None:
    """Check a JSON object; ``where`` names it in the message. Raises ConfigError for the first wrong value."""
    for key, check in schema.items():
        if values.get(key) is not None:
            check(f"{where}: {key}", values[key])


def whole(low: int, high: int) -> Check:
    """A whole number in [low, high]."""
    return lambda name, value: whole_number(name, value, low, high)


def real(low: float = -math.inf, high: float = math.inf) -> Check:
    """A finite number in [low, high]."""
    return lambda name, value: number(name, value, low, high)


def flag(name: str, value: Any) -> None:
    """Check for true or false."""
    _check_type(name, value, bool, "true or false")


def text(longest: int = 10_000) -> Check:
    """A string of at most ``longest`` characters."""

    def check(name: str, value: Any) -> None:
        _check_type(name, value, str, "a string")
        if len(value) > longest:
            raise ConfigError(f"{name} must have at most {longest:,} characters, not {len(value):,}")

    return check


def list_of(item: Check, longest: int = MAX_ITEMS) -> Check:
    """A list whose items pass ``item``."""

    def check(name: str, value: Any) -> None:
        _check_type(name, value, (list, tuple), "a list")
        _check_length(name, value, longest)
        for position, entry in enumerate(value):
            item(f"{name}[{position}]", entry)

    return check


def mapping_of(item: Check, longest: int = MAX_ITEMS) -> Check:
    """An object whose values pass ``item``."""

    def check(name: str, value: Any) -> None:
        _check_type(name, value, Mapping, "an object")
        _check_length(name, value, longest)
        for key, entry in value.items():
            item(f"{name}[{shown(key)}]", entry)

    return check


def object_with(schema: Mapping[str, Check]) -> Check:
    """An object whose values pass the checks of their keys; other keys are not checked."""

    def check(name: str, value: Any) -> None:
        _check_type(name, value, Mapping, "an object")
        check_json(value, schema, name)

    return check


def any_of(*checks: Check) -> Check:
    """A value that passes one of ``checks``; the error is that of the last."""

    def check(name: str, value: Any) -> None:
        for earlier in checks[:-1]:
            try:
                return earlier(name, value)
            except ConfigError:
                continue
        return checks[-1](name, value)

    return check


def _check_type(name: str, value: Any, wanted: type | tuple[type, ...], words: str) -> None:
    if not isinstance(value, wanted):
        raise ConfigError(f"{name} must be {words}, not {shown(value)}")


def _check_length(name: str, value: Any, longest: int) -> None:
    if len(value) > longest:
        raise ConfigError(f"{name} must have at most {longest:,} items, not {len(value):,}")
