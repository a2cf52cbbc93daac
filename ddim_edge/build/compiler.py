"""Worker process that compiles one graph into a folder of the cache: ``python -m ddim_edge.build.compiler``.

A process of its own, because compilers run for minutes without reacting to signals, and sometimes crash.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.layout import MODEL, component_named
from ..errors import ProviderError
from ..runtime.compiled.recipe import Recipe, provider_options
from ..runtime.hardware import cpu
from ..runtime.providers.device import Device
from ..runtime.providers.error_text import first_error_line
from ..runtime.providers.onnxruntime_module import runtime, why_not_loaded
from ..runtime.providers.options import defaults
from ..runtime.providers.placement import RECORD_PLACEMENT, check_placement
from ..runtime.providers.precision import FLOAT32, precision_named
from ..runtime.providers.table import CPU, CompiledForm, Provider, provider_named
from ..runtime.sessions.opening import not_loaded, prepare
from ..runtime.sessions.tensors import DTYPES
from ..runtime.workers.child import Record, serve_once

_WEIGHTS = f"{MODEL}_data"
_SMALL = "1024"  # bytes; larger weights go to a file beside the graph, which is mapped and may exceed 2 GB


def compile_graph(recipe: Recipe, folder: Path, device: Device) -> str | None:
    """Compile into ``folder`` on ``device``.

    Returns a remark where nodes were left to the CPU and that is no error. Raises ProviderError where that is an error,
    as for a session that runs it, and where compiling fails.
    """
    provider = provider_named(recipe.provider)
    prepare(provider)
    if provider.compiled_form is CompiledForm.OPTIMIZED:
        _optimize(recipe, folder)
        return None
    if provider.compiled_form is CompiledForm.ENGINES:
        session, original = _build_engines(recipe, folder, provider, device.which), None
    else:
        session, original = _compile_context(recipe, folder, provider, device.which), recipe.graph
    allow = device.allow_fallback
    return check_placement(session, provider, recipe.component, allow_fallback=allow, original=original)


def _optimize(recipe: Recipe, folder: Path) -> None:
    """Write the graph as ONNX Runtime runs it on this CPU."""
    options = _session_options()
    options.optimized_model_filepath = str(folder / MODEL)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", _SMALL)
    _session(recipe.graph, options, providers=[CPU.ort_name])
    again = _session_options()
    again.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
    _session(folder / MODEL, again, providers=[CPU.ort_name])


def _build_engines(recipe: Recipe, folder: Path, provider: Provider, which: str | None) -> Any:
    """Let TensorRT build its engines into ``folder``; returns the session.

    Opening the graph builds the engines whose shapes are all known then; running it once builds the others.
    """
    options = {"device_id": which or "0", **_all_options(recipe, folder)}
    session = _session(recipe.graph, _session_options(), providers=[(provider.ort_name, options)], enable_fallback=0)
    if provider.ort_name not in session.get_providers():
        raise not_loaded(provider, why_not_loaded(provider.library))
    _run_once(session, recipe)
    if not list(folder.glob("*.engine")):
        raise ProviderError(f"TensorRT built no engine: it takes no part of {recipe.component}'s graph")
    return session


def _run_once(session: Any, recipe: Recipe) -> None:
    feeds = {
        entry.name: np.zeros(recipe.shapes.get(entry.name, tuple(entry.shape)), DTYPES[entry.type])
        for entry in session.get_inputs()
    }
    try:
        session.run(None, feeds)
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        raise ProviderError(f"{recipe.component} cannot be run: {first_error_line(error)}") from None


def _compile_context(recipe: Recipe, folder: Path, provider: Provider, which: str | None) -> Any:
    """Write an EPContext model: the graph with compiled code in place of its nodes; returns its session."""
    options = _options_of(recipe, folder, provider, which)
    try:
        compiler = runtime().ModelCompiler(options, str(recipe.graph), external_initializers_file_path=_WEIGHTS)
        compiler.compile_to_file(str(folder / MODEL))
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        raise ProviderError(f"{provider.name} cannot compile {recipe.component}: {first_error_line(error)}") from None
    if b"EPContext" not in (folder / MODEL).read_bytes():
        raise ProviderError(f"{provider.name} compiled nothing: it takes no part of {recipe.component}'s graph")
    again = _options_of(recipe, folder, provider, which)
    again.add_session_config_entry("session.disable_model_compile", "1")
    return _session(folder / MODEL, again)


def _options_of(recipe: Recipe, folder: Path, provider: Provider, which: str | None) -> Any:
    """Session options with the provider: a plugin's is added by its device, any other by its name."""
    options, plugin = _session_options(), provider.as_plugin
    if plugin:
        plugin.add_to(options, provider.ort_name, which, _all_options(recipe, folder, plugin=True))
    else:
        chosen = {provider.device_option: which} if provider.device_option and which else {}
        options.add_provider(provider.ort_name, {**chosen, **_all_options(recipe, folder)})
    return options


def _all_options(recipe: Recipe, folder: Path, *, plugin: bool = False) -> dict[str, str]:
    each_step = component_named(recipe.graph.parent.name).each_step
    chosen = precision_named(recipe.precision or FLOAT32)
    own = defaults(recipe.provider, each_step=each_step, plugin=plugin, precision=chosen)
    return {**own, **provider_options(recipe, folder)}


def _session(graph: Path, options: Any, **arguments: Any) -> Any:
    try:
        return runtime().InferenceSession(graph, options, **arguments)
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        raise ProviderError(f"{graph} cannot be opened: {first_error_line(error)}") from None


def _session_options() -> Any:
    options = runtime().SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = cpu.threads()
    options.add_session_config_entry(*RECORD_PLACEMENT)
    return options


def respond(request: Mapping[str, Any]) -> Record:
    """Compile ``request["recipe"]``; the response has the remark. Raises as ``compile_graph``."""
    folder = Path(request["folder"])
    recipe = Recipe.from_json(request["recipe"], folder)
    device = Device(recipe.provider, request["which"], allow_fallback=request["allow_fallback"])
    return {"remark": compile_graph(recipe, folder, device)}


if __name__ == "__main__":
    serve_once(respond)
