"""Reads what is installed: versions, the package of onnxruntime, and its providers."""

import importlib.metadata
import platform
import sys
from typing import Any

from ..bundle.read import bundled_names
from ..errors import ProviderError
from ..runtime.providers.device import Device
from ..runtime.providers.onnxruntime_module import installed_packages, runtime
from ..runtime.providers.table import PROVIDERS
from ..version import __version__, package_version

_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino")
_PACKAGES = ("numpy", "pillow", "click", "rich", *_RUNTIMES, "torch", "diffusers", "onnx")
_PLUGINS = "onnxruntime-ep-"


def software_facts() -> dict[str, Any]:
    """Versions of this program, Python and the packages, and the bundled models."""
    return {
        "ddim-edge": __version__,
        "python": platform.python_version(),
        "prefix": sys.prefix,
        "platform": platform.platform(),
        "packages": {name: version for name in _PACKAGES if (version := package_version(name))},
        "onnxruntime": installed_packages(),
        "plugins": _plugins(),
        "models": bundled_names(),
    }


def module_facts() -> tuple[str | None, str | None]:
    """Why the module ``onnxruntime`` cannot be used, or None; and the CUDA that it is built for, or None."""
    try:
        return None, getattr(runtime(), "cuda_version", None) or None
    except ProviderError as error:
        return str(error), None


def not_available() -> dict[str, str | None]:
    """For each provider why the installed onnxruntime does not have it, or None where it does."""
    return {row.name: _why_not_available(row.name) for row in PROVIDERS}


def _why_not_available(name: str) -> str | None:
    try:
        list(Device(name).candidates())
    except ProviderError as error:
        return str(error)
    return None


def _plugins() -> dict[str, str]:
    """The installed packages of plugin providers, with versions."""
    found = ((entry.metadata["Name"] or "", entry.version) for entry in importlib.metadata.distributions())
    return {name: version for name, version in found if name.lower().replace("_", "-").startswith(_PLUGINS)}
