"""``ddim-edge doctor``: what is installed, what runs, and why the rest does not."""

import importlib.metadata
import json
import platform
import sys
from typing import Any

import click

from .. import providers
from ..errors import DdimEdgeError
from ..model_folder import bundled_names, open_bundle
from ..runtime import NOT_INSTALLED, installed_packages
from ..sessions import Sessions
from ..version import __version__

_PACKAGES = ("numpy", "pillow", "click", "rich", "onnxruntime", "onnxruntime-gpu", "torch", "diffusers", "onnx")


@click.command("doctor")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_DOCTOR_JSON", help="Print one machine-readable line."
)
def doctor_command(as_json: bool) -> int:
    """Show versions, which onnxruntime is installed, and which providers load in a real session, or why not.

    Exit code 0 where at least one provider runs, else 2.

    \b
    Example:
      ddim-edge doctor --json
    """
    reasons = {provider.name: _try(provider.name) for provider in providers.PROVIDERS}
    facts: dict[str, Any] = {
        "ddim-edge": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "onnxruntime": installed_packages(),
        "problem": _problem(),
        "models": bundled_names(),
        "providers": reasons,
    }
    click.echo(json.dumps(facts) if as_json else _text(facts))
    return 0 if None in reasons.values() else 2


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _problem() -> str | None:
    installed = installed_packages()
    if not installed:
        return NOT_INSTALLED
    if len(installed) > 1:
        return (
            f"{' and '.join(installed)} are both installed and overwrite each other: "
            f"pip uninstall {' '.join(installed)}, then install the one you want"
        )
    return None


def _try(name: str) -> str | None:
    """None where the provider runs the bundled model's graph, else the reason why not."""
    try:
        model = bundled_names()[0]
        open_bundle(model).open_unet(Sessions(name))
    except IndexError:
        return "no bundled model to try it with"
    except DdimEdgeError as error:
        return str(error)
    return None


def _text(facts: dict[str, Any]) -> str:
    lines = [
        f"ddim-edge {facts['ddim-edge']}, Python {facts['python']} at {sys.prefix}, {facts['platform']}",
        "packages: " + ", ".join(f"{name} {version}" for name, version in facts["packages"].items()),
        f"models: {', '.join(facts['models']) or 'none'}",
        "providers:",
    ]
    lines += [f"  {name:9} {'runs' if reason is None else reason}" for name, reason in facts["providers"].items()]
    return "\n".join(lines + ([f"problem: {facts['problem']}"] if facts["problem"] else []))
