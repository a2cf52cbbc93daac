"""Providers that a package of their own brings, as a library that ONNX Runtime is told to load.

Such a package (onnxruntime-ep-openvino, onnxruntime-ep-webgpu …) holds a module with ``get_library_path()``. What it
brings is chosen by its devices: its name alone in a list of providers would run on the CPU, without a word.
"""

import functools
import importlib
import importlib.metadata
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
    """A package that brings a provider, by the module that it installs."""

    module: str

    @property
    def package(self) -> str:
        """Its name and version, as pip knows them."""
        names = sorted(set(importlib.metadata.packages_distributions().get(self.module, [])))
        return " and ".join(f"{name} {importlib.metadata.version(name)}" for name in names) or self.module

    def devices(self, ort_name: str) -> list[Any]:
        """The devices that ``ort_name`` of this plugin runs on; its library is loaded where it is not.

        Raises ProviderError where it cannot be loaded.
        """
        _register(self)
        return [device for device in runtime().get_ep_devices() if device.ep_name == ort_name]

    def device(self, ort_name: str, which: str | None) -> Any:
        """The device that ``which`` names, as for ``add_to``. Raises ProviderError where there is none."""
        return _choose(self.devices(ort_name), which, self)

    def add_to(self, options: Any, ort_name: str, which: str | None, given: Mapping[str, str]) -> None:
        """Have the session that is made with ``options`` run on one device of the plugin, with the options ``given``.

        ``which``: the device's number among the plugin's, or its kind and number among those, as GPU or GPU.1; None for
        the first. Raises ProviderError where there is no such device.
        """
        options.add_provider_for_devices([self.device(ort_name, which)], dict(given))


def find(module: str | None) -> Plugin | None:
    """The plugin that installs ``module``, or None where it is not installed. Nothing is imported."""
    return Plugin(module) if module is not None and importlib.util.find_spec(module) else None


@functools.cache  # ONNX Runtime refuses a library that it has
def _register(plugin: Plugin) -> None:
    try:
        path = importlib.import_module(plugin.module).get_library_path()
        runtime().register_execution_provider_library(plugin.module, path)
    except Exception as error:  # the package's own kinds, and ONNX Runtime's, which have no public base but this one
        raise ProviderError(f"{plugin.package} cannot be loaded: {first_error_line(error)}") from None


def _choose(devices: Sequence[Any], which: str | None, plugin: Plugin) -> Any:
    if not devices:
        raise ProviderError(f"{plugin.package} finds no device on this machine that it runs on")
    labels = _labels(devices)
    if which is not None and which.upper() not in labels:
        raise ProviderError(choose_from(f"device of {plugin.package}", which, labels))
    return devices[0] if which is None else labels[which.upper()]


def _labels(devices: Sequence[Any]) -> dict[str, Any]:
    """What each device may be called: for the second GPU after a CPU, 2 and GPU.1."""
    labels: dict[str, Any] = {}
    kinds: Counter[str] = Counter()
    for number, device in enumerate(devices):
        kind = device.device.type.name
        labels[str(number)] = labels[f"{kind}.{kinds[kind]}"] = device
        labels.setdefault(kind, device)
        kinds[kind] += 1
    return labels
