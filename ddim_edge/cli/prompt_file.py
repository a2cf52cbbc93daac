"""Prompts from a file, or from standard input, one a line."""

import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from ..files import open_regular

_LARGEST_PROMPTS = 2**24
"""The largest file of prompts, in bytes."""


def read_prompts(prompts: Sequence[str], path: Path | None) -> list[str]:
    """Return the prompts of the command line, or the lines of a file or of standard input (``-``).

    Empty lines are skipped. Raises ConfigError if there is no prompt or the file cannot be read.
    """
    if path is None:
        return list(prompts)
    if prompts:
        raise ConfigError("--prompt and --prompts exclude each other: give one of them")
    try:
        lines = [line.strip() for line in io.StringIO(_text(path).decode(), newline=None)]
    except (OSError, ValueError) as error:  # ValueError: not UTF-8
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read as prompts, one per line: {why}") from None
    found = [line for line in lines if line]
    if not found:
        raise ConfigError(f"{path} has no prompt: write one per line")
    return found


def _text(path: Path) -> bytes:
    """The bytes of a regular file or of standard input (``-``)."""
    with contextlib.nullcontext(sys.stdin.buffer) if str(path) == "-" else open_regular(path) as file:
        contents = file.read(_LARGEST_PROMPTS + 1)
    if len(contents) > _LARGEST_PROMPTS:
        raise ValueError(f"it has more than {_LARGEST_PROMPTS:,} bytes")
    return contents
