"""Plugins: providers in packages of their own, as a library that ONNX Runtime loads at run time.

Such a package (onnxruntime-ep-openvino, onnxruntime-ep-webgpu …) has a module with ``get_library_path()``. Its provider
is chosen by a device: with its name in a list of providers, ONNX Runtime would run on the CPU without a warning.
"""

import functools
import importlib
import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ProviderError, choose_from
from .error_text import first_error_line
from .onnxruntime_module import runtime


@dataclass(frozen=True)
class Plugin:
    """A package that brings a provider, identified by the module that it installs."""

    module: str

    @property
    def package(self) -> str:
        """The package's name and version, as in pip."""
        import importlib.metadata  # here, because importing it takes longer than most of this package

        names = sorted(set(importlib.metadata.packages_distributions().get(self.module, [])))
        return " and ".join(f"{name} {importlib.metadata.version(name)}" for name in names) or self.module

    def devices(self, ort_name: str) -> list[Any]:
        """The devices that the plugin's provider ``ort_name`` runs on. Loads the plugin's library.

        Raises ProviderError where it cannot be loaded.
        """
        _register(self)
        return [device for device in runtime().get_ep_devices() if device.ep_name == ort_name]

    def device(self, ort_name: str, which: str | None) -> Any:
        """The device that ``which`` names, as in ``add_to``. Raises ProviderError where there is none."""
        return _choose(self.devices(ort_name), which, self)

    def add_to(self, options: Any, ort_name: str, which: str | None, given: Mapping[str, str]) -> None:
        """Set the session options ``options`` to one device of the plugin, with the provider's options ``given``.

        ``which``: the device's number, or its type and the number within the type, such as GPU or GPU.1; None for the
        first device. Raises ProviderError where there is no such device.
        """
        options.add_provider_for_devices([self.device(ort_name, which)], dict(given))


def find(module: str | None) -> Plugin | None:
    """The plugin with the module ``module``; None where it is not installed. Nothing is imported."""
    return Plugin(module) if module is not None and importlib.util.find_spec(module) else None


@functools.cache  # ONNX Runtime refuses to register a library twice
def _register(plugin: Plugin) -> None:
    try:
        path = importlib.import_module(plugin.module).get_library_path()
        runtime().register_execution_provider_library(plugin.module, path)
    except Exception as error:  # the package's exceptions and ONNX Runtime's have no other common base
        raise ProviderError(f"{plugin.package} cannot be loaded: {first_error_line(error)}") from None


def _choose(devices: Sequence[Any], which: str | None, plugin: Plugin) -> Any:
    if not devices:
        raise ProviderError(f"{plugin.package} finds no device on this machine that it runs on")
    labels = _labels(devices)
    if which is not None and which.upper() not in labels:
        raise ProviderError(choose_from(f"device of {plugin.package}", which, labels))
    return devices[0] if which is None else labels[which.upper()]


def _labels(devices: Sequence[Any]) -> dict[str, Any]:
    """The names of each device: for the second GPU after a CPU, 2 and GPU.1."""
    labels: dict[str, Any] = {}
    kinds: Counter[str] = Counter()
    for number, device in enumerate(devices):
        kind = device.device.type.name
        labels[str(number)] = labels[f"{kind}.{kinds[kind]}"] = device
        labels.setdefault(kind, device)
        kinds[kind] += 1
    return labels
