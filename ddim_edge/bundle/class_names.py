"""Names of classes: one of several that a class has."""

from collections.abc import Sequence

from ..errors import ConfigError, listed, shown


def class_with_name(name: str, labels: Sequence[str]) -> int | None:
    """The class that has ``name`` among its names, as ImageNet's have several, with commas between; None for none.

    ConfigError where several classes have it.
    """
    found = [number for number, names in enumerate(labels) if name in map(str.strip, names.split(","))]
    if len(found) > 1:
        raise ConfigError(f"label {shown(name)} is a name of the classes {listed(map(str, found))}: give a number")
    return found[0] if found else None
