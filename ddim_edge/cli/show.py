"""``run --show``: draws the images in a terminal."""

import os
import sys

import click

from ..arrays import Pixels
from ..images.encode import grid
from .failures import say
from .half_blocks import half_blocks


def show_images(images: Pixels) -> None:
    """Draw a grid of images, uint8 (N, H, W, C), on standard output; or say on stderr why nothing is drawn."""
    reason = _why_not()
    if reason is None:
        click.echo(half_blocks(grid(images)), color=True)
    else:
        say(f"--show: nothing is drawn, because {reason}")


def _why_not() -> str | None:
    """Why standard output shows no colours; None where it does."""
    if not _is_terminal():
        return "standard output is no terminal"
    if os.environ.get("NO_COLOR"):
        return "NO_COLOR is set"
    return "TERM is dumb" if os.environ.get("TERM") == "dumb" else None


def _is_terminal() -> bool:
    return sys.stdout.isatty()
