"""Tries a provider: runs two small graphs on it, for their time and their error against the CPU."""

import statistics
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DdimEdgeError, ProviderError
from ..runtime.providers import openvino_module
from ..runtime.providers.device import Device
from ..runtime.providers.error_text import first_error_line
from ..runtime.providers.onnxruntime_module import runtime, why_not_loaded
from ..runtime.providers.table import CPU, provider_named
from ..runtime.sessions.opening import FallbackWarning, open_uncompiled
from ..runtime.sessions.session_options import Purpose

PROBES = Path(__file__).with_name("probes")
SHAPES = {"convolution": (1, 8, 64, 64), "attention": (1, 256, 32)}
"""The shape of each probe's input, ``sample``."""
_WARM_UPS, _RUNS = 2, 7
_TOLERANCE = 0.05
"""The largest error, of outputs around 1: enough for TF32 and fp16, which some providers use by default."""

Array = NDArray[np.float32]


class Run(NamedTuple):
    """One probe on one provider: its output, the median time of a run, and what was left to the CPU."""

    output: Array
    milliseconds: float
    remark: str | None


def try_provider(name: str) -> dict[str, Any]:
    """Run the probes on a provider.

    Returns ``reason``, why it does not run, or None; and where it does run, for each probe the median ``milliseconds``
    of a run, its ``error``, the largest difference from the CPU (None for the CPU itself), and a ``remark`` where some
    of it was left to the CPU. For OpenVINO's own runtime also ``runtime``: its version and devices.
    """
    try:
        measured = {probe: _measure(probe, name) for probe in SHAPES}
    except DdimEdgeError as error:
        return {"reason": f"{error}{_loader_message(name, str(error))}"}
    wrong = [probe for probe, result in measured.items() if not _is_accurate(result["error"])]
    reason = f"it computes {' and '.join(wrong)} wrongly, see the error against the CPU" if wrong else None
    return {"reason": reason, **measured, "runtime": _own_runtime(name)}


def _own_runtime(name: str) -> dict[str, Any] | None:
    """The version of a provider's own runtime, and what each of its devices computes in; None where it has none."""
    if not provider_named(name).has_own_runtime:
        return None
    devices = {device: openvino_module.precisions(device) for device in openvino_module.devices()}
    return {"version": openvino_module.version(), "devices": devices}


def run_probe(probe: str, provider: str) -> Run:
    """Run a probe on standard normal numbers. Raises ProviderError where it fails."""
    sample = np.random.default_rng(0).standard_normal(SHAPES[probe], dtype=np.float32)
    device = Device(provider, allow_fallback=provider != CPU.name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FallbackWarning)
        raw = open_uncompiled(PROBES / probe / "model.onnx", device, Purpose.ONCE_PER_IMAGE).raw
    remarks = [str(warning.message) for warning in caught if warning.category is FallbackWarning]
    try:
        outputs = [raw.run(["out"], {"sample": sample})[0] for _ in range(_WARM_UPS)]
        milliseconds = statistics.median(_milliseconds(raw, sample) for _ in range(_RUNS))
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        raise ProviderError(f"{probe} failed on {provider}: {first_error_line(error)}") from error
    return Run(outputs[-1], milliseconds, "; ".join(remarks) or None)


def _milliseconds(raw: Any, sample: Array) -> float:
    start = time.perf_counter()
    raw.run(["out"], {"sample": sample})
    return 1000 * (time.perf_counter() - start)


def _measure(probe: str, provider: str) -> dict[str, Any]:
    run = run_probe(probe, provider)
    error = None if provider == CPU.name else float(np.abs(run.output - run_probe(probe, CPU.name).output).max())
    return {"milliseconds": run.milliseconds, "error": error, "remark": run.remark}


def _loader_message(name: str, reason: str) -> str:
    """The system loader's message about the provider's library, where ``reason`` does not have it."""
    row = provider_named(name)
    if row.library is None or row.ort_name not in runtime().get_available_providers():
        return ""
    words = why_not_loaded(row.library)
    return "" if words in reason else f". The loader says: {words}"


def _is_accurate(error: float | None) -> bool:
    return error is None or error <= _TOLERANCE  # NaN is not
