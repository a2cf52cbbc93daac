"""Default values of options from ddim-edge.toml, in the current folder and in the user's config folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError, choose_from, shown
from .help_sections import flag_names

NAME = "ddim-edge.toml"


def config_files() -> list[Path]:
    """The files that are there, the current folder's first: its values win."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config")
    places = [Path(NAME), Path(os.path.expanduser(base)) / "ddim-edge" / NAME]  # noqa: PTH111  # never raises
    return [path for path in places if path.is_file()]


def defaults_of(command: str, commands: Mapping[str, click.Command]) -> dict[str, Any]:
    """The values that the files give to a command's options, by parameter, for click's ``default_map``.

    Raises ConfigError for a file that is not TOML, a table that is no command, or an entry that is no option of it.
    """
    values: dict[str, Any] = {}
    for path in reversed(config_files()):
        values |= _defaults_in(path, command, commands)
    return values


def _defaults_in(path: Path, command: str, commands: Mapping[str, click.Command]) -> dict[str, Any]:
    tables = _read(path)
    for name, table in tables.items():
        if name not in commands:
            raise ConfigError(f"{path}: {choose_from('table', name, list(commands))}")
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {name} must be a table of options, as [{name}], not {shown(table)}")
    if not tables.get(command):
        return {}
    options = {
        name: each for each in commands[command].params if isinstance(each, click.Option) for name in flag_names(each)
    }
    return dict(_parameter(path, command, options, *entry) for entry in tables[command].items())


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # here, for a fast start without a file

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:  # ValueError: not TOML, or not UTF-8
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from None


def _parameter(path: Path, command: str, options: Mapping[str, click.Option], key: str, value: Any) -> tuple[str, Any]:
    """The parameter of an entry, and its value as click takes it: lists of single options are joined by commas."""
    name = key.replace("-", "_")
    if name not in options:
        raise ConfigError(f"{path}, [{command}]: {choose_from('option', name, list(options))}")
    option = options[name]
    if isinstance(value, list) and not option.multiple:
        value = ",".join(map(str, value))
    elif option.multiple and not isinstance(value, list):
        value = [value]
    return str(option.name), value
