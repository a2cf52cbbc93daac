"""Collects the facts that ``ddim-edge doctor`` reports, as one JSON object."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ..errors import ConfigError
from ..runtime.compiled.places import user_cache
from ..runtime.compiled.upkeep import entries
from ..runtime.hardware import cpu, nvidia
from ..runtime.providers.table import CPU
from .installation import State
from .isolated import run_isolated
from .libraries import find_libraries, missing
from .remedies import find_problems
from .software import module_facts, not_available, software_facts
from .trial import SHAPES, try_provider

_DRIVER_SECONDS = 20
_TRIAL_SECONDS = 300
"""Enough for a Jetson that loads CUDA and cuDNN from a memory card, and for TensorRT's first engines."""


def collect_facts(progress: Callable[[str], None]) -> dict[str, Any]:
    """All the facts. ``progress`` is called with the name of each trial that begins, as some take long."""
    broken, cuda_build = module_facts()
    nvidia_facts = _nvidia_facts(progress)
    absent = not_available()
    seconds = _TRIAL_SECONDS if nvidia_facts["reason"] is None else _DRIVER_SECONDS
    trials = {name: {"reason": reason} if reason else _try(name, seconds, progress) for name, reason in absent.items()}
    libraries = find_libraries(cuda_build)
    reasons = {name: trial["reason"] for name, trial in trials.items()}
    software = software_facts()
    state = State(
        packages=software["onnxruntime"],
        broken=broken,
        cuda_build=cuda_build,
        provides=frozenset(name for name, reason in absent.items() if reason is None),
        missing=missing(libraries) if cuda_build else (),
        reasons=reasons,
        **_machine_state(nvidia_facts),
    )
    problems = find_problems(state)
    return {
        **software,
        "cpu": _cpu_facts(),
        "cuda_build": cuda_build,
        "nvidia": nvidia_facts | {"jetson_wheels": state.wheels},
        "measured": _measured(),
        "openvino": trials.get("openvino", {}).get("runtime"),
        "libraries": {stem: asdict(library) for stem, library in libraries.items()},
        "available": [name for name, reason in absent.items() if reason is None],
        "providers": reasons,
        "trials": {
            name: {probe: trial[probe] for probe in SHAPES}
            for name, trial in trials.items()
            if SHAPES.keys() <= trial.keys()
        },
        "problem": problems[0].what if problems else None,
        "problems": [asdict(problem) for problem in problems],
    }


def _measured() -> list[dict[str, Any]]:
    """What ``auto`` takes for the graphs that ``ddim-edge build --provider auto`` measured, in the user's cache."""
    try:
        found = entries([user_cache()])
    except ConfigError:  # no home folder
        return []
    return [
        {
            "graph": str(entry.choice.graph),
            "precision": entry.choice.precision,
            "takes": (best := entry.choice.best(entry.choice.precision)) and best.name,
            "fault": entry.fault,
        }
        for entry in found
        if entry.choice is not None
    ]


def _cpu_facts() -> dict[str, Any]:
    processors = cpu.describe()
    return asdict(processors) | {"threads": processors.threads, "text": str(processors)}


def _nvidia_facts(progress: Callable[[str], None]) -> dict[str, Any]:
    progress("the NVIDIA driver")
    unknown: dict[str, Any] = {"driver": None, "cuda": None, "gpus": [], "reason": None}
    response = run_isolated("driver", seconds=_DRIVER_SECONDS)
    board = {"jetson": nvidia.jetson(), "jetpack": nvidia.jetpack(), "pci_gpus": nvidia.pci_gpus()}
    return unknown | response | board


def _machine_state(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "has_gpu": bool(facts["gpus"] or facts["pci_gpus"] or facts["jetson"]),
        "has_nvml": nvidia.has_nvml_package(),
        "driver_cuda": facts["cuda"],
        "driver_fault": facts["reason"],
        "is_jetson": facts["jetson"] is not None,
        "jetpack": facts["jetpack"],
    }


def _try(name: str, seconds: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """The result of ``try_provider``, run in its own process, except for the CPU, which this process needs anyway."""
    progress(f"provider {name}")
    return try_provider(name) if name == CPU.name else run_isolated("trial", name, seconds=seconds)
