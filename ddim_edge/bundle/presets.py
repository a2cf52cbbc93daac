"""Presets: named sets of generation options in a bundle's generation_config.json, such as a cache that was measured."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import read_json
from ..diffusion.step_cache import StepCache
from ..errors import BundleError, ConfigError, shown
from ..files import write_file
from ..graphs.file_hashes import read_sha256
from .json_files import PRESET, read_optional
from .layout import EXPORT_RECORD, GENERATION_CONFIG

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
    _write_json(path, {**contents, _KEY: presets})
    _record(folder, path)


def _record(folder: Path, path: Path) -> None:
    """Update the hash of ``path`` in export.json, if that has hashes."""
    record = folder / EXPORT_RECORD
    contents = read_json(record) if record.is_file() else {}
    if contents.get("files"):
        entry = {"sha256": read_sha256(path), "size": path.stat().st_size}
        _write_json(record, {**contents, "files": {**contents["files"], path.name: entry}})


def _write_json(path: Path, contents: Mapping[str, Any]) -> None:
    write_file(path, (json.dumps(contents, indent=2) + "\n").encode())
