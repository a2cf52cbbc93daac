"""The option --enlarge: small pictures are shown in larger pixels."""

from collections.abc import Callable
from typing import Any

import click

SMALL = 64
"""Images with both sides below it are enlarged by themselves in a grid and in an animation."""
_WANTED = 128
"""The longer side, in pixels, up to which they are enlarged."""


def enlarge_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --enlarge."""
    return click.option(
        "--enlarge",
        type=click.IntRange(1, 64),
        metavar="N",
        help="Draw each pixel N times as large in a picture file; .npy and .npz files are left as they are.  [default: "
        f"for grids and animations of images below {SMALL} pixels as often as fits into {_WANTED}, else 1]",
    )(command)


def factor_of(enlarge: int | None, count: int, side: int, *, animated: bool = False) -> int:
    """How often each pixel of ``count`` images of a longer ``side`` is drawn; ``enlarge`` is what the user gave."""
    if enlarge is not None:
        return enlarge
    return _WANTED // side if side < SMALL and (count > 1 or animated) else 1
