"""Options of ``ddim-edge run`` for models that make arrays, or that take arrays by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..bundle.bundle import Bundle
from ..errors import ConfigError
from ..generation.requests.conditioning_file import read_conditioning
from ..generation.requests.named_arrays import NamedArrays, fitted
from ..images.formats import ARRAY_SUFFIXES, check_holds_arrays


def conditioning_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --conditioning."""
    return click.option(
        "--conditioning",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File of arrays (.npz), one for each input that the network takes by name: one row an image, or one for "
        "all. For a robot policy its observations.",
    )(command)


def default_format(bundle: Bundle) -> str:
    """The format of files where none is given: PNG for images; for arrays .npz, which holds the recipe."""
    return "png" if bundle.output.is_image else "npz"


def check_arrays(bundle: Bundle, suffix: str, options: Mapping[str, object]) -> None:
    """Raise ConfigError for a model that makes arrays where the file is for pictures, or an option draws or reads one.

    ``options``: those about pictures, by the names of their flags.
    """
    if bundle.output.is_image:
        return
    check_holds_arrays(bundle.name, suffix)
    for name, value in options.items():
        if value not in (None, False, ()):
            raise ConfigError(
                f"--{name.replace('_', '-')} is for pictures, and {bundle.name} makes arrays of shape "
                f"{bundle.sample_shape}: leave it out"
            )


def named_arrays(bundle: Bundle, path: Path | None) -> NamedArrays | None:
    """The arrays of --conditioning, as the model's graph takes them; None without the option.

    ConfigError for a file that does not fit, and without one for a model that needs it.
    """
    return None if path is None else fitted(bundle, read_conditioning(path, bundle))


def holds_samples(suffix: str) -> bool:
    """Whether files of that suffix hold samples, and no images."""
    return suffix in ARRAY_SUFFIXES
