"""Environment variables: options that may be repeated have a value in each line, and unknown names are errors."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import click

from ..errors import ConfigError, shown

PREFIX = "DDIM_EDGE"
_PREFIX = f"{PREFIX}_"

OTHERS = (
    "DDIM_EDGE_API_KEY",
    "DDIM_EDGE_CACHE",
    "DDIM_EDGE_DEBUG",
    "DDIM_EDGE_DEPLOY_TOOLS",
    "DDIM_EDGE_OPTIMUM_PYTHON",
    "DDIM_EDGE_ORT_TELEMETRY",
    "DDIM_EDGE_TERRAIN_PYTHON",
    "DDIM_EDGE_TRITON_PYTHON",
)
"""The variables that are not the option of a command."""


class RepeatableOption(click.Option):
    """An option that may be given several times. Its environment variable has one value in each line."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **{**settings, "multiple": True})

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """The lines of the variable that are not empty; None without one."""
        text = self.resolve_envvar_value(ctx)
        return None if text is None else [line for line in text.splitlines() if line.strip()]


def check_variables(names: Iterable[str], commands: Mapping[str, click.Command]) -> None:
    """Raise ConfigError for a variable DDIM_EDGE_… that no command reads; the message has the nearest that one does."""
    for name in names:
        if name.startswith(_PREFIX) and name not in OTHERS and not _is_option(name, commands):
            known = [*OTHERS, *(known for each in commands for known in _variables_of(each, commands[each]))]
            short = [variable.removeprefix(_PREFIX) for variable in known]
            nearest = difflib.get_close_matches(name.removeprefix(_PREFIX), short, n=1)
            hint = f" Did you mean {_PREFIX}{nearest[0]}?" if nearest else ""
            raise ConfigError(f"the environment variable {shown(name)} is unknown.{hint} Correct it or unset it")


def _is_option(name: str, commands: Mapping[str, click.Command]) -> bool:
    command = name.removeprefix(_PREFIX).partition("_")[0].lower()
    return command in commands and name in _variables_of(command, commands[command])


def _variables_of(name: str, command: click.Command) -> set[str]:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    named = {variable for option in options for variable in _own_variables(option)}
    return named | {f"{_PREFIX}{name}_{option.name}".upper() for option in options}


def _own_variables(option: click.Option) -> list[str]:
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
