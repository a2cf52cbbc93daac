"""What the command line says when it fails: one line on stderr, without long inputs."""

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ..errors import LONGEST_SHOWN, ConfigError

_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_LONGEST_LINE = 2000
"""Of any message: there may be fifty names of a bundle in it."""
_LONGEST_USAGE_ERROR = 500
"""Of click's messages, which repeat arguments and list choices."""


def say(message: str) -> None:
    """Write one line to stderr, if that can be written."""
    line = " ".join(message.split())
    text = line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 3]}..."
    with contextlib.suppress(OSError):
        click.echo(f"ddim-edge: {text}", err=True)


def shortened(message: str, arguments: Sequence[str]) -> str:
    """The message with at most 200 characters of every argument that it repeats, or of a part of its path."""
    for argument in arguments:
        for text in (argument, argument.partition("=")[2], repr(argument)[1:-1], *re.split("[=/]", argument)):
            if len(text) > LONGEST_SHOWN:
                message = message.replace(text, f"{text[: LONGEST_SHOWN - 3]}...")
    return message


def usage_error(error: click.ClickException) -> str:
    """The message of one of click's errors."""
    from .usage_errors import usage_text  # here, because no other command line needs it

    text = usage_text(error)
    return text if len(text) <= _LONGEST_USAGE_ERROR else f"{text[: LONGEST_SHOWN - 3]}..."


def print_any_name() -> None:
    """Let stdout print names of files that are not in its encoding, with escapes, as stderr does."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def system_error(error: OSError) -> str:
    """The message for something that the system refused, such as a path that is too long."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{str(error.filename)[:LONGEST_SHOWN]}: {reason}"
    _discard_output()
    # Errors of files have a name, or are OutputErrors.
    return f"cannot write the output: {reason}" if error.errno in _WRITE_ERRORS else reason


def check_current_folder() -> None:
    """Raise ConfigError where the current folder was deleted: no relative path has a meaning there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the current folder does not exist any more: change to another one") from None


def _discard_output() -> None:
    """Discard what is left of an output that cannot be written: Python would try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
