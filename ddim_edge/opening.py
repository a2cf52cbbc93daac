"""Makes ONNX Runtime's session of a graph, on the device that was asked for or not at all."""

import re
import warnings
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from .errors import BundleError, ProviderError
from .providers import Device, Provider
from .runtime import NOT_INSTALLED, be_quiet, load_cuda_libraries, runtime, why_not_loaded

_CUDA_GRAPH = "enable_cuda_graph"
# How ONNX Runtime begins its refusals to capture a CUDA graph: of control flow, or of nodes on other providers.
_NOT_CAPTURED = re.compile(r"graph capture feature")


class FallbackWarning(UserWarning):
    """A graph runs, but not where, or not as fast as, it might."""


class Use(Enum):
    """What a session is opened for, and so how."""

    LOOKING = "to see what the graph declares: a matter of a second, and of little memory"
    STEPS = "to run step after step"
    STEPS_LEAN = "to run step after step, in little memory"
    ONCE = "to run once an image"
    ONCE_LEAN = "to run once an image, in little memory"

    @property
    def is_lean(self) -> bool:
        return self in (Use.STEPS_LEAN, Use.ONCE_LEAN)

    @property
    def is_each_step(self) -> bool:
        return self in (Use.STEPS, Use.STEPS_LEAN)


@dataclass(frozen=True)
class Opened:
    """ONNX Runtime's session, and what it came to.

    Attributes:
        provider: the one that it runs on.
        raw: ONNX Runtime's session.
        captures: whether each shape's kernel launches are recorded once, as a CUDA graph, and then replayed.
    """

    provider: Provider
    raw: Any
    captures: bool = False


def open_graph(path: Path, device: Device, use: Use) -> Opened:
    """Open the graph on the first provider of ``device`` that runs it.

    Raises ProviderError where none does, with each one's reason, BundleError where the file is no usable graph.
    """
    reasons = []
    for provider in device.candidates():
        be_quiet()
        if provider.memory == "cuda":
            load_cuda_libraries()
        try:
            return _open(path, provider, device, use)
        except ProviderError as error:
            reasons.append(str(error))
    raise ProviderError("; ".join(reasons) or NOT_INSTALLED)


def _open(path: Path, provider: Provider, device: Device, use: Use) -> Opened:
    options = _provider_options(provider, device, use)
    try:
        return Opened(provider, _create(path, provider, use, options), options.get(_CUDA_GRAPH) == "1")
    except ProviderError as error:
        if _CUDA_GRAPH in device.options or not _NOT_CAPTURED.search(str(error)):
            raise
        reason = str(error)
    warnings.warn(f"{path.parent.name} runs without a CUDA graph: {reason}", FallbackWarning, stacklevel=2)
    return Opened(provider, _create(path, provider, use, {**options, _CUDA_GRAPH: "0"}))


def _provider_options(provider: Provider, device: Device, use: Use) -> dict[str, str]:
    options: dict[str, str] = {}
    if provider.device_option and device.which is not None:
        options[provider.device_option] = device.which
    if provider.name == "cuda" and use is Use.STEPS:
        options[_CUDA_GRAPH] = "1"
    return {**options, **device.options} if device.provider == provider.name else options


def _create(path: Path, provider: Provider, use: Use, provider_options: dict[str, str]) -> Any:
    options = _session_options(use)
    wanted = [(provider.ort_name, provider_options)]
    try:
        session = runtime().InferenceSession(path, options, providers=wanted, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        if provider.name == "cpu":
            raise BundleError(f"{path} cannot be loaded: {first_line(error)}. Export it again") from None
        raise _not_loaded(provider, first_line(error)) from None
    if provider.ort_name not in session.get_providers():
        raise _not_loaded(provider, why_not_loaded(provider.library))
    return session


def _session_options(use: Use) -> Any:
    options = runtime().SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the same again on stderr helps nobody
    if not use.is_each_step:
        # Threads that spin while they wait for the next call would slow the network of the steps down.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if use is Use.LOOKING:  # weights in a file of their own stay there: neither laid out anew nor packed
        options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    if use.is_lean:
        # From the second call on, one block for all activations would be taken beside what the first call used:
        # 5.9 in the place of 4.8 GB for Stable Diffusion 1's UNet. Small networks are a fifth faster with it.
        options.enable_mem_pattern = False
    return options


def _not_loaded(provider: Provider, reason: str) -> ProviderError:
    remedy = f"Remedy: {provider.remedy}, or --provider auto"
    return ProviderError(f"provider {provider.name!r} did not load: {reason}. {remedy}")


def first_line(error: Exception) -> str:
    """Of its message, or its kind where it has none."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
