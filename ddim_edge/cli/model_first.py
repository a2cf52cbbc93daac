"""MODEL as the first argument of ``encode`` and ``interpolate``, and as the option --model of older command lines."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..bundle.read import bundled_names
from ..errors import ConfigError

DEFAULT_MODEL = "fashion-mnist"


def model_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model, which the help text does not show: MODEL is the first argument."""
    text = "A bundled model's name or a bundle's folder."
    option = click.option("--model", "-m", default=DEFAULT_MODEL, hidden=True, help=text)
    return option(command)


def is_model(word: str) -> bool:
    """Whether an argument in the place of a file is a model: a bundled model's name, or a folder."""
    path = Path(word)
    return path.is_dir() or (word in bundled_names() and not path.exists())


def chosen_model(words: Sequence[str], option: str) -> str:
    """The model: the only one of ``words``, else the value of --model. Raises ConfigError where both are given."""
    if not words:
        return option
    if click.get_current_context().get_parameter_source("model") is ParameterSource.COMMANDLINE:
        raise ConfigError("MODEL and --model are given: leave --model out")
    return words[0]
