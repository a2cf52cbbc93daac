"""Opens a graph: creates a runtime's session on the device that was named, or raises with the reason."""

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import BundleError, ProviderError
from ..compiled.entry import Compiled
from ..compiled.messages import missing_message
from ..compiled.store import find
from ..hardware.memory import trim_heap
from ..providers.device import Device
from ..providers.error_text import first_error_line, refused_option
from ..providers.onnxruntime_module import NOT_INSTALLED, load_cuda_libraries, runtime, silence_logging, why_not_loaded
from ..providers.options import defaults
from ..providers.placement import check_placement
from ..providers.table import AUTO, CPU, CompiledForm, Provider, provider_named
from .open_graph import OpenGraph
from .openvino_graph import OpenVinoGraph
from .session_options import Purpose, run_options, session_options
from .shared_arena import share_arena

_CUDA_GRAPH = "enable_cuda_graph"
_CUDA_GRAPHS = frozenset((_CUDA_GRAPH, "trt_cuda_graph_enable"))
# ONNX Runtime's errors for a graph that cannot be a CUDA graph: it has control flow, or nodes on other providers.
_NOT_CAPTURED = re.compile(r"graph capture feature")


class FallbackWarning(UserWarning):
    """A graph runs on another provider than it could, or slower."""


@dataclass(frozen=True)
class Opened:
    """A graph that a runtime has opened, and how.

    Attributes:
        provider: the provider that it runs on.
        raw: the open graph: ONNX Runtime's session, or OpenVINO's.
        captures: whether each shape's kernel launches are recorded once, as a CUDA graph, and then replayed.
        run_options: ONNX Runtime's, for every call.
        compiled: what was compiled of the graph, for this and for other shapes; the first one was opened.
    """

    provider: Provider
    raw: OpenGraph
    captures: bool = False
    run_options: Any = None
    compiled: tuple[Compiled, ...] = ()


def open_graph(path: Path, device: Device, purpose: Purpose) -> Opened:
    """Open the graph on the first provider of ``device`` that runs it.

    Raises ProviderError with each provider's reason where none does, BundleError where the file is not a usable graph.
    """
    if not path.exists():
        raise BundleError(f"there is no file {path}: give the path of an ONNX graph")
    if not path.is_file():  # ONNX Runtime would wait for a pipe's writer
        raise BundleError(f"{path} is not a regular file: copy it again")
    reasons = []
    for provider in device.candidates():
        prepare(provider)
        try:
            return _open(path, provider, device, purpose)
        except _PlacementError as error:
            if device.provider != AUTO:
                raise
            warnings.warn(str(error), FallbackWarning, stacklevel=2)
            reasons.append(str(error))
        except ProviderError as error:
            reasons.append(str(error))
    raise ProviderError("; ".join(reasons) or NOT_INSTALLED)


def prepare(provider: Provider) -> None:
    """Load the libraries that the provider needs, and silence ONNX Runtime's own log."""
    silence_logging()
    if provider.memory == "cuda":
        load_cuda_libraries()


def open_compiled(compiled: Compiled, device: Device, purpose: Purpose) -> Opened:
    """Open what was compiled. Raises ProviderError where its provider does not run it any more."""
    provider = provider_named(compiled.recipe.provider)
    return _open_as(compiled.graph, provider, device, purpose, compiled)


def open_uncompiled(path: Path, device: Device, purpose: Purpose) -> Opened:
    """Open the graph itself, even if something was compiled of it. A provider that needs engines builds them now.

    Raises ProviderError where the provider does not run it.
    """
    provider = next(device.candidates())
    prepare(provider)
    return _open_as(path, provider, device, purpose)


def _open(path: Path, provider: Provider, device: Device, purpose: Purpose) -> Opened:
    if provider.uses_own_runtime(device.which):  # nothing is built for it
        return _open_as(path, provider, device, purpose)
    given = device.options if device.provider == provider.name else {}
    found = find(path, provider.name, device.which, given, precision=device.precision)
    for fault in found.damaged:
        warnings.warn(f"{fault}. It is not used: run `ddim-edge build` again", FallbackWarning, stacklevel=2)
    if found.fitting:
        return replace(open_compiled(found.fitting[0], device, purpose), compiled=found.fitting)
    missing = missing_message(path, provider.name, found, options=given, precision=device.precision)
    needs_engines = provider.compiled_form is CompiledForm.ENGINES  # it would build them now, for minutes
    goes_on = device.provider == AUTO or not needs_engines
    if goes_on and set(found.reasons) - set(found.damaged):
        warnings.warn(missing, FallbackWarning, stacklevel=2)
    if needs_engines:
        raise ProviderError(missing)
    return _open_as(path, provider, device, purpose)


def _open_as(
    path: Path, provider: Provider, device: Device, purpose: Purpose, compiled: Compiled | None = None
) -> Opened:
    """Open the graph on this provider, with a CUDA graph where that is possible."""
    if provider.uses_own_runtime(device.which):
        return Opened(provider, OpenVinoGraph(path, device))
    options = _provider_options(provider, device, purpose, compiled)
    name = compiled.recipe.component if compiled else path.parent.name
    try:
        raw = _create(path, provider, device, purpose, options, compiled)
    except _CaptureError as error:
        if _CUDA_GRAPH in device.options:
            raise ProviderError(f"{name} cannot be a CUDA graph: {error}. Leave {_CUDA_GRAPH} out") from None
        warnings.warn(f"{name} runs without a CUDA graph: {error}", FallbackWarning, stacklevel=2)
        options[_CUDA_GRAPH] = "0"
        raw = _create(path, provider, device, purpose, options, compiled)
    if purpose is not Purpose.INSPECT:
        original = compiled.recipe.graph if compiled and compiled.is_context else None
        _check_placement(raw, name, provider, device, original)
    return Opened(provider, raw, any(_is_on(options.get(key)) for key in _CUDA_GRAPHS), run_options(provider, purpose))


class _PlacementError(ProviderError):
    """The provider runs, but leaves too much of this graph to the CPU."""


class _CaptureError(ProviderError):
    """The graph cannot be recorded as a CUDA graph."""


def _check_placement(raw: Any, name: str, provider: Provider, device: Device, original: Path | None) -> None:
    try:
        remark = check_placement(raw, provider, name, allow_fallback=device.allow_fallback, original=original)
    except ProviderError as error:
        raise _PlacementError(str(error)) from None
    if remark:
        warnings.warn(remark, FallbackWarning, stacklevel=2)


def _provider_options(
    provider: Provider, device: Device, purpose: Purpose, compiled: Compiled | None
) -> dict[str, str]:
    plugin = provider.as_plugin is not None
    options = defaults(provider.name, each_step=purpose.is_each_step, plugin=plugin, precision=device.precision)
    if provider.device_option and device.which is not None and not plugin:
        options[provider.device_option] = device.which
    own = dict(device.options) if device.provider == provider.name else {}
    for key in _CUDA_GRAPHS & own.keys():
        if _is_on(own[key]) and provider.memory is None:
            raise ProviderError(
                f"{key} needs buffers with fixed addresses, and {provider.name} has none here: leave {key} out"
            )
        if purpose is not Purpose.EACH_STEP:  # without buffers; and too few calls to gain time
            del own[key]
    if provider.cuda_graph and purpose is Purpose.EACH_STEP:
        options[_CUDA_GRAPH] = "1"
    return {**options, **own, **(compiled.options if compiled else {})}


def _is_on(value: str | None) -> bool:
    return value in ("1", "True", "true")


def _create(
    path: Path,
    provider: Provider,
    device: Device,
    purpose: Purpose,
    given: dict[str, str],
    compiled: Compiled | None,
) -> Any:
    options, plugin = session_options(purpose, device.threads), provider.as_plugin
    if purpose.is_low_memory and provider == CPU:
        share_arena(options)
    if compiled is not None:
        _as_compiled(options, compiled)
    if plugin is not None:
        plugin.add_to(options, provider.ort_name, device.which, given)
    # A plugin's provider is chosen by its device; a list of providers would be an error then.
    wanted = {} if plugin else {"providers": [(provider.ort_name, given)], "enable_fallback": 0}
    try:
        session = runtime().InferenceSession(path, options, **wanted)
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        if _NOT_CAPTURED.search(str(error)):
            raise _CaptureError(first_error_line(error)) from None
        if provider == CPU:
            raise BundleError(f"{path} cannot be loaded: {first_error_line(error)}. Export it again") from None
        raise refused_option(error, provider.name, given) or not_loaded(provider, first_error_line(error)) from None
    if provider.ort_name not in session.get_providers():
        raise not_loaded(provider, why_not_loaded(provider.library))
    trim_heap()
    return session


def _as_compiled(options: Any, compiled: Compiled) -> None:
    if compiled.optimized:
        options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
    for key, value in compiled.session_entries.items():
        options.add_session_config_entry(key, value)


def not_loaded(provider: Provider, reason: str) -> ProviderError:
    """The error for a provider that the installed package has and that does not load."""
    remedy = f"Remedy: {provider.remedy}, or --provider auto"
    return ProviderError(f"provider {provider.name!r} did not load: {reason}. {remedy}")
