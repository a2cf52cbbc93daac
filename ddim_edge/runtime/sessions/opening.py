"""Makes ONNX Runtime's session of a graph, on the device that was asked for or not at all."""

import re
import sys
import warnings
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ...errors import BundleError, ProviderError
from ..compiled.messages import missing
from ..compiled.store import Compiled, find
from ..hardware import cpu
from ..hardware.memory import give_back
from ..providers.device import Device
from ..providers.error_text import first_error_line, refused_option
from ..providers.onnxruntime_module import NOT_INSTALLED, be_quiet, load_cuda_libraries, runtime, why_not_loaded
from ..providers.options import defaults
from ..providers.placement import RECORD_PLACEMENT, check_placement
from ..providers.table import AUTO, CPU, CompiledForm, Provider, provider_named

_CUDA_GRAPH = "enable_cuda_graph"
_CUDA_GRAPHS = frozenset((_CUDA_GRAPH, "trt_cuda_graph_enable"))
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
        run_options: ONNX Runtime's, for every call.
        compiled: what it was opened from in the place of the graph, and what else was compiled, for other shapes.
    """

    provider: Provider
    raw: Any
    captures: bool = False
    run_options: Any = None
    compiled: tuple[Compiled, ...] = ()


def open_graph(path: Path, device: Device, use: Use) -> Opened:
    """Open the graph on the first provider of ``device`` that runs it.

    Raises ProviderError where none does, with each one's reason, BundleError where the file is no usable graph.
    """
    reasons = []
    for provider in device.candidates():
        prepare(provider)
        try:
            return _open(path, provider, device, use)
        except _PlacementError as error:
            if device.provider != AUTO:
                raise
            warnings.warn(str(error), FallbackWarning, stacklevel=2)
            reasons.append(str(error))
        except ProviderError as error:
            reasons.append(str(error))
    raise ProviderError("; ".join(reasons) or NOT_INSTALLED)


def prepare(provider: Provider) -> None:
    """Load what the provider needs, where it needs anything, and have ONNX Runtime say nothing twice."""
    be_quiet()
    if provider.memory == "cuda":
        load_cuda_libraries()


def open_compiled(compiled: Compiled, device: Device, use: Use) -> Opened:
    """Open what was compiled; ProviderError where its provider does not run it any more."""
    provider = provider_named(compiled.recipe.provider)
    return _open_as(compiled.graph, provider, device, use, compiled)


def open_uncompiled(path: Path, device: Device, use: Use) -> Opened:
    """Open the graph itself, whatever was compiled of it: a provider that runs engines builds one now, however long.

    Raises ProviderError where the provider does not run it.
    """
    provider = next(device.candidates())
    prepare(provider)
    return _open_as(path, provider, device, use)


def _open(path: Path, provider: Provider, device: Device, use: Use) -> Opened:
    given = device.options if device.provider == provider.name else {}
    found = find(path, provider.name, device.which, given)
    if found.fitting:
        return replace(open_compiled(found.fitting[0], device, use), compiled=found.fitting)
    if provider.compiled_form is CompiledForm.ENGINES:  # it would build them now, for minutes
        raise ProviderError(missing(path, provider.name, found, options=given))
    return _open_as(path, provider, device, use)


def _open_as(path: Path, provider: Provider, device: Device, use: Use, compiled: Compiled | None = None) -> Opened:
    """On exactly this provider, with a CUDA graph where it takes one."""
    options = _provider_options(provider, device, use, compiled)
    name = compiled.recipe.component if compiled else path.parent.name
    try:
        raw = _create(path, provider, device.which, use, options, compiled)
    except _CaptureError as error:
        if _CUDA_GRAPH in device.options:
            raise ProviderError(f"{name} cannot be a CUDA graph: {error}. Leave {_CUDA_GRAPH} out") from None
        warnings.warn(f"{name} runs without a CUDA graph: {error}", FallbackWarning, stacklevel=2)
        options[_CUDA_GRAPH] = "0"
        raw = _create(path, provider, device.which, use, options, compiled)
    if use is not Use.LOOKING:
        original = compiled.recipe.graph if compiled and compiled.is_context else None
        _check_placement(raw, name, provider, device, original)
    return Opened(provider, raw, any(_is_on(options.get(key)) for key in _CUDA_GRAPHS), _run_options(provider, use))


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


def _provider_options(provider: Provider, device: Device, use: Use, compiled: Compiled | None) -> dict[str, str]:
    plugin = provider.as_plugin is not None
    options = defaults(provider.name, each_step=use.is_each_step, plugin=plugin)
    if provider.device_option and device.which is not None and not plugin:
        options[provider.device_option] = device.which
    own = dict(device.options) if device.provider == provider.name else {}
    for key in _CUDA_GRAPHS & own.keys():
        if _is_on(own[key]) and provider.memory is None:
            raise ProviderError(f"{key} needs buffers that stay where they are, and {provider.name} has none here")
        if use is not Use.STEPS:  # it needs them, too, and is called too seldom to be worth it
            del own[key]
    if provider.cuda_graph and use is Use.STEPS:
        options[_CUDA_GRAPH] = "1"
    return {**options, **own, **(compiled.options if compiled else {})}


def _is_on(value: str | None) -> bool:
    return value in ("1", "True", "true")


def _create(
    path: Path, provider: Provider, which: str | None, use: Use, given: dict[str, str], compiled: Compiled | None
) -> Any:
    options, plugin = _session_options(use), provider.as_plugin
    if compiled is not None:
        _as_compiled(options, compiled)
    if plugin is not None:
        plugin.add_to(options, provider.ort_name, which, given)
    # What a plugin brings is chosen by its device, and there must be no list beside that.
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
    give_back()
    return session


def _as_compiled(options: Any, compiled: Compiled) -> None:
    if compiled.optimized:
        options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
    for key, value in compiled.session_entries.items():
        options.add_session_config_entry(key, value)


def _session_options(use: Use) -> Any:
    options = runtime().SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the same again on stderr helps nobody
    options.add_session_config_entry(*RECORD_PLACEMENT)
    processors = cpu.describe()
    options.intra_op_num_threads = processors.threads
    options.add_session_config_entry(*_spinning(use, processors))
    if use is Use.LOOKING:  # weights in a file of their own stay there: neither laid out anew nor packed
        options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    if use.is_lean:
        # From the second call on, one block for all activations would be taken beside what the first call used:
        # 5.9 in the place of 4.8 GB for Stable Diffusion 1's UNet. Small networks are a fifth faster with it.
        options.enable_mem_pattern = False
    return options


def _run_options(provider: Provider, use: Use) -> Any:
    """A graph that is called once an image gives its memory back each time: it would hold the largest one's for ever.

    On the CPU alone, where that was tried, and not where a word has 32 bits: ONNX Runtime has no arena there.
    """
    if use.is_each_step or provider != CPU or sys.maxsize < 2**32:
        return None
    options = runtime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _spinning(use: Use, processors: cpu.Cpu) -> tuple[str, str]:
    """How long a thread that has nothing to do looks for work before it sleeps.

    By ONNX Runtime's default that is some 50 ms: beyond the end of a call, and beside any other program that wants the
    processor at the cost of both. A graph's next piece of work comes within less, or not before the next step; with a
    tenth of it the steps lose some percent.
    """
    if not use.is_each_step or processors.is_metered:  # would slow the network of the steps down, or use up a quota
        return ("session.intra_op.allow_spinning", "0")
    return ("session.intra_op.spin_duration_us", "200")


def not_loaded(provider: Provider, reason: str) -> ProviderError:
    """The error for a provider of the installed package that does not load."""
    remedy = f"Remedy: {provider.remedy}, or --provider auto"
    return ProviderError(f"provider {provider.name!r} did not load: {reason}. {remedy}")
