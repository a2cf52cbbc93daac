"""The command line: ``ddim-edge COMMAND``. What a user can mend ends in one line on stderr and exit code 2."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import click

from ..errors import DdimEdgeError
from ..version import __version__
from .bench import bench_command
from .build import build_command
from .doctor import doctor_command
from .encode import encode_command
from .export import export_command
from .inspect import inspect_command
from .interpolate import interpolate_command
from .run import run_command
from .serve import serve_command

INTERRUPTED = 130


@click.group(
    context_settings={
        "auto_envvar_prefix": "DDIM_EDGE",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    }
)
@click.version_option(__version__, prog_name="ddim-edge")
def cli() -> None:
    """Run diffusion models without PyTorch.

    Every option can also be set by an environment variable: DDIM_EDGE_COMMAND_OPTION, for instance
    DDIM_EDGE_RUN_NUM_STEPS=20.
    """


for _command in (
    run_command,
    encode_command,
    interpolate_command,
    inspect_command,
    doctor_command,
    bench_command,
    export_command,
    build_command,
    serve_command,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, 2 for what the user can mend, 1 for the rest, 130 after Ctrl-C."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    with warnings.catch_warnings(record=False):
        warnings.showwarning = _show_warning
        return _run_command(arguments)


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """One line on stderr, of our own warnings and of others; the arguments are those of warnings.showwarning."""
    click.echo(f"ddim-edge: warning: {' '.join(str(message).split())}", err=True)


def _run_command(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(arguments, prog_name="ddim-edge", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except DdimEdgeError as error:
        return _fail(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        return _fail(str(error) or "interrupted", INTERRUPTED)
    except Exception as error:
        if os.environ.get("DDIM_EDGE_DEBUG"):
            raise
        return _fail(f"a fault of ddim-edge: {type(error).__name__}: {error} (DDIM_EDGE_DEBUG=1 shows where)", 1)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"ddim-edge: {' '.join(message.split())}", err=True)
    return code
