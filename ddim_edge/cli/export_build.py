"""Builds a bundle for this machine's CPU when it was exported for it."""

from pathlib import Path

import click
from click.core import ParameterSource

from ..build.plan import BuildRequest
from ..bundle.read import open_bundle
from ..errors import DdimEdgeError
from ..runtime.providers.device import Device
from ..runtime.providers.table import CPU
from .build import build_bundle
from .failures import say


def target_is_this_cpu() -> bool:
    """Whether ``--target cpu`` was given. By default an export may be for any machine."""
    context = click.get_current_context()
    return context.params["target"] == CPU.name and context.get_parameter_source("target") != ParameterSource.DEFAULT


def build_exported(bundle: Path, *, quiet: bool, as_json: bool) -> str | None:
    """Build the bundle for this CPU. The report, or None where it failed, of which a warning tells."""
    try:
        return build_bundle(open_bundle(bundle), Device(CPU.name), BuildRequest(), quiet=quiet, as_json=as_json)
    except DdimEdgeError as error:
        say(f"warning: {bundle} is exported, and not built for this CPU: {error}")
        return None
