"""The command line ``ddim-edge COMMAND``. Errors that the user can correct: one line on stderr, exit code 2."""

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TextIO

import click

from ..errors import DdimEdgeError
from ..version import __version__
from .config_file import defaults_of
from .environment import PREFIX, check_variables
from .failures import check_current_folder, print_any_name, say, shortened, system_error, usage_error
from .help_sections import COMMAND_SECTIONS
from .notices import notices_on_stderr

INTERRUPTED = 130
_WIDEST = max(len(name) for section in COMMAND_SECTIONS.values() for name in section)

COMMANDS = {name: summary for section in COMMAND_SECTIONS.values() for name, summary in section.items()}
"""The commands with the first sentence of their help texts. ``NAME`` is the function ``NAME_command`` in NAME.py."""


class _LazyCommands(Mapping[str, click.Command]):
    """The commands by name. A command is imported when it is looked up."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        command: click.Command = getattr(importlib.import_module(f".{name}", __name__), f"{name}_command")
        if "_DDIM_EDGE_COMPLETE" in os.environ:
            from .completion import with_completions  # here, because the shell alone asks for it

            return with_completions(command)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(click.Group):
    """A group whose help text lists the commands without importing them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write a titled list of commands for each purpose."""
        for title, commands in COMMAND_SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(_WIDEST), summary) for name, summary in commands.items()])


@click.group(
    cls=_Group,
    commands=_LazyCommands(),
    context_settings={
        "auto_envvar_prefix": PREFIX,
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@click.version_option(__version__, "-V", "--version", prog_name="ddim-edge")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run diffusion models without PyTorch.

    Every option can also be set by the environment variable DDIM_EDGE_COMMAND_OPTION, for instance
    DDIM_EDGE_RUN_NUM_STEPS=20. An option that may be repeated has one value in each line of its variable. Default
    values can stand in ddim-edge.toml, here or in ~/.config/ddim-edge/: a table for each command, such as [run], with
    options such as num-steps = 20.
    """
    check_current_folder()
    check_variables(os.environ, cli.commands)
    command = ctx.invoked_subcommand
    if command is not None and command in cli.commands:
        ctx.default_map = {command: defaults_of(command, cli.commands)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, 2 for errors that the user can correct, 1 for others, 130 after Ctrl-C."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: cli.main(given, prog_name="ddim-edge", standalone_mode=False), given)


def exit_code(work: Callable[[], object], given: Sequence[str] = ()) -> int:
    """The exit code of ``work``, whose errors are said in one line; ``given``: arguments that errors may repeat."""
    with warnings.catch_warnings(record=False), notices_on_stderr():
        warnings.showwarning = _show_warning
        return _run_work(work, given)


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Print a warning as one line on stderr. The arguments are those of ``warnings.showwarning``."""
    say(f"warning: {message}")


def _run_work(work: Callable[[], object], given: Sequence[str]) -> int:
    print_any_name()
    try:
        code = work()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _fail(shortened(usage_error(error), given), error.exit_code)
    except DdimEdgeError as error:
        return _fail(shortened(str(error), given), error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        return _fail(str(error) or "interrupted", INTERRUPTED)
    except MemoryError:
        return _fail("there is too little memory: ask for fewer or smaller images, or give a smaller --batch-size", 2)
    except Exception as error:
        if os.environ.get("DDIM_EDGE_DEBUG"):
            raise
        if isinstance(error, OSError):
            return _fail(shortened(system_error(error), given), 2)
        text = shortened(f"{type(error).__name__}: {error}", given)
        return _fail(f"internal error: {text} (DDIM_EDGE_DEBUG=1 shows a traceback)", 1)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    say(message)
    return code
