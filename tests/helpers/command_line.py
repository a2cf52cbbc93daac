"""The command line called by tests."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import click

from ddim_edge.cli import cli

COMMAND = [sys.executable, "-c", "from ddim_edge.cli import main; main()"]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def failed_with(self, *parts: str, code: int = 2) -> bool:
        """Whether it failed as a command should: one line on stderr with all of ``parts``, no more."""
        assert (self.code, self.out) == (code, "")
        assert self.err.startswith("ddim-edge: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err
        return True


Invoke = Callable[..., Outcome]


def check_options(words: list[str]) -> None:
    """Raise KeyError for an unknown command, click's error for an option or a value that it does not take."""
    name, *arguments = words
    command = cli.commands[name]
    context = click.Context(command, info_name=name, **cli.context_settings)  # click keeps the names of --help
    values, rest, order = command.make_parser(context).parse_args(arguments)
    if rest:
        raise click.UsageError(f"nobody takes {rest}")
    for parameter in order:
        if isinstance(parameter, click.Option) and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, values.get(str(parameter.name)))
