"""Reads keys of a network's config.json. ConfigError names a key with an unsupported value."""

from collections.abc import Mapping
from typing import Any

from ddim_edge.errors import ConfigError, shown

Config = Mapping[str, Any]


def count(config: Config, key: str, default: int | None = None) -> int:
    """A whole number of at least 1; ``default`` if the key is absent or null."""
    value = config.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{key} must be a whole number of at least 1, not {shown(value)}")
    return value


def widths(config: Config, key: str) -> list[int]:
    """A list of whole numbers, one per level of the network."""
    levels = config.get(key)
    if not isinstance(levels, (list, tuple)) or not levels or not all(isinstance(width, int) for width in levels):
        raise ConfigError(f"{key} must be a list of whole numbers, not {shown(levels)}")
    return list(levels)


def per_level(config: Config, key: str, levels: int) -> list[int]:
    """One whole number per level: the config has a list of ``levels`` numbers, or one number for all."""
    value = config.get(key)
    if isinstance(value, int):
        return [count(config, key)] * levels
    numbers = widths(config, key)
    if len(numbers) != levels:
        raise ConfigError(f"{key} has {len(numbers)} entries for {levels} levels")
    return numbers


def one_of(config: Config, key: str, valid: tuple[str | None, ...]) -> str | None:
    """A value that must be in ``valid``; None if the key is absent."""
    value = config.get(key)
    if value not in valid:
        known = ", ".join("null" if name is None else repr(name) for name in valid)
        raise ConfigError(f"{key} {shown(value)} is not supported; supported: {known}")
    return None if value is None else str(value)


def null_class(config: Config) -> int:
    """The number of DiT's class that means none: it is behind the classes."""
    return count(config, "num_embeds_ada_norm", default=1000)
