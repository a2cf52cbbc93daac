"""``run --from-image``: the options that made a picture, read from its recipe."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..bundle.bundle import Bundle
from ..errors import LONGEST_SHOWN, ConfigError, ProviderError, shown
from ..generation.requests.named_arrays import NamedArrays
from ..generation.requests.options import check_request
from ..generation.requests.origin import Origin
from ..generation.requests.recipe import check_recipe
from ..generation.requests.request import Request
from ..images.encode import read_recipe
from ..images.npz import read_npz_recipe
from ..runtime.providers.device import Device
from ..runtime.providers.precision import FLOAT32, precision_named


def recipe_in(path: Path, choices: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read the recipe of a picture file. Raises ConfigError if the command line has an option that the recipe holds."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in choices and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise ConfigError(f"--from-image takes all options from the picture: leave {parameter.opts[0]} out")
    recipe = read_npz_recipe(path) if path.suffix == ".npz" else read_recipe(path)
    check_recipe(recipe)
    return recipe


def device_for(recipe: Mapping[str, Any], device: Device) -> Device:
    """``device`` with the precision of the recipe. Raises ConfigError where the command line has another one."""
    made_in = precision_named(recipe.get("precision", FLOAT32))
    source = click.get_current_context().get_parameter_source("precision")
    if source is ParameterSource.COMMANDLINE and made_in != device.computes_in:
        raise ConfigError(f"the picture was made in {made_in}: leave --precision out")
    try:
        return device if made_in == device.computes_in else replace(device, precision=made_in)
    except ProviderError as error:
        raise ProviderError(f"the picture was made in {made_in}: {error}") from None


def remade(
    bundle: Bundle, recipe: Mapping[str, Any], origin: Origin | None, conditioning: NamedArrays | None
) -> Request:
    """The request that a recipe holds. Raises ConfigError where it is of another model, or of another command."""
    if "interpolated" in recipe:
        arguments = recipe["interpolated"][:LONGEST_SHOWN]
        raise ConfigError(f"the picture was made by `ddim-edge interpolate {arguments}`: run that command again")
    if recipe.get("model_sha256") != bundle.sha256:
        raise ConfigError(
            f"the picture was made by another model: its hash is {str(recipe.get('model_sha256'))[:12]}…, that of "
            f"{bundle.name} is {bundle.sha256[:12]}…. There it was called {shown(recipe.get('model'))}: give that one "
            "as MODEL"
        )
    request = Request.from_json(recipe, origin, conditioning)
    check_request(bundle, request)
    return request
