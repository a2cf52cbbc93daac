"""``--force``: without it, no file that exists is replaced."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from ..errors import OutputError
from ..files import write_file, write_new_file


def force_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --force."""
    return click.option(
        "--force", is_flag=True, help="Replace files that exist, and the images of another run in a folder."
    )(command)


def existing(paths: Iterable[Path]) -> list[Path]:
    """Those of ``paths`` that exist, also as links to nothing."""
    return [path for path in paths if os.path.lexists(path)]


def check_free(path: Path, *, force: bool) -> None:
    """Raise OutputError for a file that exists, unless it may be replaced."""
    if not force and existing([path]):
        raise exists(path)


def exists(path: Path) -> OutputError:
    """The error for a file that is not replaced."""
    return OutputError(f"{path} exists: give --force to replace it, or another name")


def write_output(path: Path, contents: bytes, *, force: bool, other_names: Iterator[Path] | None = None) -> Path:
    """Write a file, or with ``other_names`` a new file of the first name that is free. Returns its path.

    Raises OutputError for a file that exists, unless it may be replaced.
    """
    if force and other_names is None:
        return write_file(path, contents)
    try:
        return write_new_file(itertools.chain([path], other_names or ()), contents)
    except FileExistsError:
        raise exists(path) from None
