"""Names of classes: the number of the class that a name, or a number as text, means."""

import re
from collections.abc import Sequence

from ..errors import ConfigError, choose_from, listed, shown

NO_CLASS = "none"
"""The label of the null class."""


def class_number(label: str | int, labels: Sequence[str], null_class: int | None, model: str) -> int:
    """The class of a name or number; ConfigError, with the nearest name, for an unknown one."""
    text, lowered = str(label).strip().lower(), [name.lower() for name in labels]
    if text == NO_CLASS and null_class is not None:
        return null_class
    if text in lowered:
        return lowered.index(text)
    if (number := _class_with_name(text, lowered)) is not None:
        return number
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        if 0 <= int(text) < len(labels):
            return int(text)
        raise ConfigError(f"label {text} is out of range: {model} has the classes 0 to {len(labels) - 1}")
    raise ConfigError(choose_from("label", label, labels))


def _class_with_name(name: str, labels: Sequence[str]) -> int | None:
    """The class that has ``name`` among its names, as ImageNet's have several, with commas between; None for none.

    ConfigError where several classes have it.
    """
    found = [number for number, names in enumerate(labels) if name in map(str.strip, names.split(","))]
    if len(found) > 1:
        raise ConfigError(f"label {shown(name)} is a name of the classes {listed(map(str, found))}: give a number")
    return found[0] if found else None
