"""Presets: named sets of generation options in a bundle's generation_config.json, such as a cache that was measured."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..diffusion.step_cache import StepCache
from ..errors import BundleError, ConfigError, shown
from .json_files import PRESET, read_optional
from .layout import GENERATION_CONFIG
from .record import record_files, write_json

_MEASURED = "measured"
"""The key of a preset that says what was measured; it is no option."""
_KEY = "presets"

Preset = Mapping[str, Any]


def read_presets(folder: Path) -> Mapping[str, Preset]:
    """The presets of a bundle, by their names. ``check_json_files`` has checked the types.

    Raises BundleError for a cache that is none.
    """
    presets = read_optional(folder / GENERATION_CONFIG).get(_KEY) or {}
    for name, preset in presets.items():
        try:
            StepCache.parse(preset.get("cache") or "off", preset.get("cache_threshold"))
        except ConfigError as error:
            raise BundleError(f"{folder / GENERATION_CONFIG}: preset {shown(name)}: {error}") from None
    return presets


def options_of(preset: Preset) -> dict[str, Any]:
    """The generation options that a preset sets. Keys that are no options of presets are ignored."""
    return {name: preset[name] for name in PRESET if name != _MEASURED and preset.get(name) is not None}


def check_preset_name(name: str) -> None:
    """Raise ConfigError for a text that is no name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ConfigError(f"a preset's name has letters, digits and _.- and at most 64 of them, unlike {shown(name)}")


def write_preset(folder: Path, name: str, options: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
    """Write a preset into a bundle's generation_config.json, in the place of one of the same name.

    The file is replaced whole, and its hash in export.json follows. Raises OutputError where it cannot be written.
    """
    path = folder / GENERATION_CONFIG
    contents = read_optional(path)
    presets = {**(contents.get(_KEY) or {}), name: {**options, _MEASURED: measured}}
    write_json(path, {**contents, _KEY: presets})
    record_files(folder, [path])
