"""What ``run --requests`` writes down of the model and of the options on the command line."""

from collections.abc import Mapping
from typing import Any

from ..bundle.bundle import Bundle
from ..diffusion.samplers import SamplerConfig, changed_options
from ..generation.requests.named_arrays import NamedArrays
from ..version import __version__


def model_facts(bundle: Bundle, precision: str) -> dict[str, str]:
    """The model, and what it computes in, as a recipe has them."""
    facts = {"model": bundle.name, "model_sha256": bundle.sha256, "version": __version__}
    return facts if precision == "float32" else {**facts, "precision": precision}


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON values."""
    return {
        name: {"name": value.name, **changed_options(value)}
        if isinstance(value, SamplerConfig)
        else value.to_json()
        if isinstance(value, NamedArrays)
        else value
        for name, value in options.items()
    }
