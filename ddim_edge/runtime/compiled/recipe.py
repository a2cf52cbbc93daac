"""What is to be compiled of a graph, for what, and with which options of its provider."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ...bundle.layout import MODEL
from ...graphs.fingerprint import graph_sketch, graph_stamps
from .machine import Machine

FORMAT = 1
FOR_A_SHAPE = ("tensorrt", "tensorrt-rtx")
"""The providers that compile for a shape, and again for each."""
_RUNTIME_CACHE = "runtime"
"""Where TensorRT for RTX keeps the kernels that it makes as they are needed."""
_OF_THE_RUN = """
    trt_context_memory_sharing_enable trt_cuda_graph_enable trt_detailed_build_log trt_dump_subgraphs
    enable_cuda_graph nv_detailed_build_log nv_dump_subgraphs nv_enable_profiling nv_persistent_context_memory
    nv_profiling_output_file nv_use_sync_gpu_allocator
"""
PRECISIONS = ("fp32", "fp16", "int8")

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of a graph's inputs by name."""


@dataclass(frozen=True)
class Recipe:
    """What to compile, and for what.

    Attributes:
        provider: its name.
        graph: the file of the graph.
        shapes: of the inputs that have a free axis; empty for what takes any shape.
        machine: what it is compiled on.
        precision: fp32, fp16 or int8, where the provider can choose; None where the graph's own types decide.
        workspace: the most bytes of GPU memory that the compiler may try kernels with; None for the provider's own.
        options: the provider's own that were given by name, without those that change nothing of what is compiled.
    """

    provider: str
    graph: Path
    shapes: Shapes
    machine: Machine
    precision: str | None = None
    workspace: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def component(self) -> str:
        return component_of(self.graph)

    def key(self, sha256: str) -> str:
        """Of the folder, given the graph's hash: the same for the same things and for nothing else."""
        ingredients = {**self._described(), "graph_sha256": sha256}
        return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]

    def folder(self, cache: Path, sha256: str) -> Path:
        return cache / f"{self.provider}-{self.component}-{self.key(sha256)}"

    def to_json(self, folder: Path, sha256: str) -> dict[str, Any]:
        """What ``built.json`` says of it. A bundle that its cache lies in can be moved with it."""
        inside = folder.is_relative_to(self.graph.parent.parent)
        graph = os.path.relpath(self.graph, folder) if inside else str(self.graph)
        known = {"stamps": graph_stamps(self.graph), "sketch": graph_sketch(self.graph)}
        return {**self._described(), "graph": graph, "graph_sha256": sha256, **known}

    def _described(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "provider": self.provider,
            "component": self.component,
            "shapes": self.shapes,
            "machine": self.machine.to_json(),
            "precision": self.precision,
            "workspace": self.workspace,
            "options": self.options,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], folder: Path) -> Self:
        """Of a ``built.json`` in ``folder``; KeyError, TypeError or ValueError where it is none of this version."""
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']}")
        return cls(
            provider=facts["provider"],
            graph=Path(os.path.normpath(folder / facts["graph"])),
            shapes={name: tuple(shape) for name, shape in facts["shapes"].items()},
            machine=Machine(**facts["machine"]),
            precision=facts["precision"],
            workspace=facts["workspace"],
            options=dict(facts["options"]),
        )


def provider_options(recipe: Recipe, folder: Path) -> dict[str, str]:
    """The options to compile with, which are those to run with: TensorRT builds anew where the profile is another.

    They go on top of the provider's defaults. ONNX Runtime's TensorRT provider reads several profiles of one input, and
    runs with the first of them only (microsoft/onnxruntime#31624): so there is one, the exact shape, in an engine of
    its own.
    """
    return {**recipe.options, **own_options(recipe, folder)}


def lasting(options: Mapping[str, str]) -> dict[str, str]:
    """Those of a provider's options that change what is compiled; the others may be given anew at every run."""
    return {key: value for key, value in options.items() if key not in _OF_THE_RUN.split()}


def own_options(recipe: Recipe, folder: Path) -> dict[str, str]:
    """Those that are set here, whatever else is given."""
    if recipe.provider == "tensorrt":
        return {  # ONNX Runtime's Python binding wants "True" and "False" for this provider
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(folder),
            "trt_fp16_enable": str(recipe.precision != "fp32"),
            "trt_int8_enable": str(recipe.precision == "int8"),
            **_profile("trt", recipe),
        }
    if recipe.provider == "tensorrt-rtx":
        return {"nv_runtime_cache_path": str(folder / _RUNTIME_CACHE), **_profile("nv", recipe)}
    return {}


def _profile(prefix: str, recipe: Recipe) -> dict[str, str]:
    text = ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in recipe.shapes.items())
    options = {f"{prefix}_profile_{end}_shapes": text for end in ("min", "opt", "max")} if text else {}
    return options | ({f"{prefix}_max_workspace_size": str(recipe.workspace)} if recipe.workspace else {})


def component_of(graph: Path) -> str:
    """What a graph is called: unet for unet/model.onnx, unet_step for unet/unet_step.onnx."""
    return graph.parent.name if graph.name == MODEL else graph.stem
