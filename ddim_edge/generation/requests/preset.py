"""The option ``preset``: the options of one of the model's presets, below those that are given."""

from collections.abc import Mapping
from typing import Any

from ...bundle.bundle import Bundle
from ...bundle.presets import options_of
from ...errors import ConfigError, choose_from, shown


def with_preset(bundle: Bundle, given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with the options of the preset that it names, which is left out; ConfigError for an unknown one.

    Options that are given win. A cache that is given replaces the preset's with its threshold.
    """
    options = {name: value for name, value in given.items() if name != "preset"}
    if "preset" not in given:
        return options
    preset = options_of(_preset(bundle, given["preset"]))
    if "cache" in options:
        preset.pop("cache_threshold", None)
    return {**preset, **options}


def _preset(bundle: Bundle, name: object) -> Mapping[str, Any]:
    if isinstance(name, str) and name in bundle.presets:
        return bundle.presets[name]
    if not bundle.presets:
        raise ConfigError(f"preset {shown(name)}: {bundle.name} has no presets; `ddim-edge tune` makes one")
    raise ConfigError(choose_from("preset", name, bundle.presets))
