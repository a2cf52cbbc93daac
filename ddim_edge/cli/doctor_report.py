"""The text output of ``ddim-edge doctor``: one line per fact, in groups."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..doctor.libraries import CUDA, TENSORRT
from ..runtime.providers.table import PROVIDERS
from .device_options import auto_option

_GIB = 1 << 30


def as_text(facts: Mapping[str, Any]) -> str:
    """All facts as text."""
    groups = (
        _software(facts),
        _nvidia(facts),
        _libraries(facts),
        _providers(facts),
        _measured(facts),
        _problems(facts),
    )
    return "\n\n".join("\n".join(lines) for group in groups if (lines := list(group)))


def _software(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"ddim-edge {facts['ddim-edge']}, Python {facts['python']} at {facts['prefix']}, {facts['platform']}"
    yield f"packages: {_versions(facts['packages'])}"
    build = f", built for CUDA {facts['cuda_build']}" if facts["cuda_build"] else ""
    yield f"onnxruntime: {_versions(facts['onnxruntime'])}{build}"
    yield f"plugins: {_versions(facts['plugins'])}"
    yield f"models: {', '.join(facts['models']) or 'none'}"
    yield f"processor: {facts['cpu']['text']}"
    if own := facts["openvino"]:
        devices = "; ".join(f"{name} in {', '.join(can)}" for name, can in own["devices"].items())
        yield f"{own['version']}'s own runtime: {devices}"


def _versions(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items()) or "none"


def _nvidia(facts: Mapping[str, Any]) -> Iterator[str]:
    about = facts["nvidia"]
    yield "NVIDIA:"
    if about["jetson"]:
        yield f"  this is a Jetson: {about['jetson']}" + (f" (JetPack {about['jetpack']})" if about["jetpack"] else "")
        origin = "NVIDIA's Jetson AI Lab, not PyPI, has onnxruntime-gpu for it"
        yield f"  {origin}: {about['jetson_wheels']}" if about["jetson_wheels"] else "  too old for any wheel"
    if about["driver"]:
        yield f"  driver {about['driver']}, runs CUDA up to {about['cuda'] or 'an unknown version'}"
    else:
        yield "  no driver" + (f" that answers: {about['reason']}" if about["reason"] else "")
    yield from (f"  GPU {_gpu(gpu)}" for gpu in about["gpus"])
    if not about["gpus"]:
        yield "  no GPU" + (f" that a driver serves; {about['pci_gpus']} on the bus" if about["pci_gpus"] else "")


def _gpu(gpu: Mapping[str, Any]) -> str:
    text = f"{gpu['index']}: {gpu['name']}"
    if gpu["compute_capability"]:
        text += f", compute capability {gpu['compute_capability']}"
    if gpu["total_memory"] is not None:
        text += f", {gpu['free_memory'] / _GIB:.1f} of {gpu['total_memory'] / _GIB:.1f} GiB free"
    return text + (f", {gpu['uuid']}" if gpu["uuid"] else "")


def _libraries(facts: Mapping[str, Any]) -> Iterator[str]:
    """All libraries where onnxruntime needs them, else those that are found."""
    for title, stems in (("CUDA and cuDNN", CUDA), ("TensorRT", TENSORRT)):
        libraries = [facts["libraries"][stem] for stem in stems]
        shown = [library for library in libraries if facts["cuda_build"] or library["file"]]
        yield f"{title}:" if shown else f"{title}: none here, and nothing installed asks for them"
        yield from (f"  {_library(library)}" for library in shown)


def _library(library: Mapping[str, Any]) -> str:
    name = f"{library['name']:22}"
    if library["file"]:
        return f"{name} {library['version'] or '?'}, {library['file']} ({library['source']})"
    return f"{name} not found" + (f"; another version is {library['instead']}" if library["instead"] else "")


def _providers(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "providers:"
    if not facts["available"]:
        yield "  none runs: onnxruntime cannot be used"
        return
    for name in facts["available"]:
        yield from _provider(name, facts["providers"][name], facts["trials"].get(name, {}))
    yield "providers that the installed onnxruntime does not hold:"
    yield from (f"  {row.name:12} {row.remedy}" for row in PROVIDERS if row.name not in facts["available"])


def _provider(name: str, reason: str | None, trials: Mapping[str, Any]) -> Iterator[str]:
    measured = ", ".join(f"{probe} {_times(trial)}" for probe, trial in trials.items())
    yield f"  {name:12} " + ("runs" if reason is None else f"does not run: {reason}") + (measured and f": {measured}")
    yield from (f"  {'':12} {trial['remark']}" for trial in trials.values() if trial["remark"])


def _times(trial: Mapping[str, Any]) -> str:
    error = "" if trial["error"] is None else f" (error {trial['error']:.1e})"
    return f"{trial['milliseconds']:.2f} ms{error}"


def _measured(facts: Mapping[str, Any]) -> Iterator[str]:
    for found in facts["measured"]:
        fault = f"; of no use: {found['fault']}" if found["fault"] else ""
        yield f"{auto_option(found['precision'])} takes {found['takes']} for {found['graph']}{fault}"


def _problems(facts: Mapping[str, Any]) -> Iterator[str]:
    for problem in facts["problems"]:
        yield f"problem: {problem['what']}"
        yield from (f"  {command}" for command in problem["commands"])
