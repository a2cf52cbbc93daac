"""``ddim-edge export BUNDLE --triton DIR``: a bundle as a model repository of Triton Inference Server."""

import json
from pathlib import Path

import click
from click.core import ParameterSource

from ..bundle.read import open_bundle
from ..errors import ConfigError
from ..triton.repository import write_repository

_OWN = ("source", "triton", "triton_graphs", "quiet", "as_json")


def export_triton(source: str, repository: Path, *, graphs: bool, quiet: bool, as_json: bool) -> None:
    """Write the repository and print its models. Raises ConfigError for another option on the command line."""
    context = click.get_current_context()
    for parameter in context.command.params:
        is_given = context.get_parameter_source(parameter.name or "") == ParameterSource.COMMANDLINE
        if is_given and parameter.name not in _OWN:
            raise ConfigError(
                f"--triton writes a bundle that is exported already: leave {_name(parameter)} out, and give it to the "
                "export that makes the bundle"
            )
    models = write_repository(open_bundle(source), repository, graphs=graphs)
    if quiet:
        return
    facts = {"repository": str(repository), "models": list(models)}
    click.echo(json.dumps(facts) if as_json else f"{repository}: {', '.join(models)}")


def _name(parameter: click.Parameter) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else (parameter.name or "").upper()
