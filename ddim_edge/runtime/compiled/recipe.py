"""Recipe: what to compile from a graph, for which machine, with which options of the provider."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ...bundle.layout import MODEL
from ...graphs.fingerprint import graph_sketch, graph_stamps
from ...graphs.inputs import declared_inputs
from ..providers.options import compile_options
from ..providers.precision import FLOAT32, short
from ..providers.table import CompiledForm, provider_named
from .machine import Machine

FORMAT = 1

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of a graph's inputs by name."""


@dataclass(frozen=True)
class Recipe:
    """What to compile, and for what.

    Attributes:
        provider: the provider's name.
        graph: the file of the graph.
        shapes: the shapes of the inputs that have a free axis; empty where any shape fits.
        machine: the machine that it is compiled on.
        precision: as ``recorded_precision`` gives it.
        workspace: the most bytes of GPU memory that the compiler may try kernels with; None for the provider's default.
        options: the provider's options that the user gave, without those that do not change what is compiled.
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
        """The key in the folder's name: a hash of the recipe and of the graph's hash ``sha256``."""
        inputs = {**self._described(), "graph_sha256": sha256}
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]

    def folder(self, cache: Path, sha256: str) -> Path:
        return cache / f"{self.provider}-{self.component}-{self.key(sha256)}"

    def to_json(self, folder: Path, sha256: str) -> dict[str, Any]:
        """The recipe in ``built.json``."""
        return {**self._described(), "graph_sha256": sha256, **source_json(self.graph, folder)}

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
        """Read a ``built.json`` in ``folder``. Raises KeyError, TypeError or ValueError for another format version."""
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


def source_json(graph: Path, folder: Path) -> dict[str, Any]:
    """The source ``graph`` in a record in ``folder``, and how to recognize it without reading all of it.

    Its path is relative where the cache is in the bundle's folder, so that both can be moved together.
    """
    inside = folder.is_relative_to(graph.parent.parent)
    path = os.path.relpath(graph, folder) if inside else str(graph)
    return {"graph": path, "stamps": graph_stamps(graph), "sketch": graph_sketch(graph)}


def recorded_precision(provider: str, graph: Path, precision: str) -> str | None:
    """How a recipe records a device's precision: fp32, bf16, fp16, int8 or auto; None where the graph's types decide.

    TensorRT has to be told of a graph in fp16. What other providers compile in float32 has no entry.
    """
    row = provider_named(provider)
    if row.compiled_form is not CompiledForm.ENGINES:
        return None if precision == FLOAT32 or not row.precisions else short(precision)
    half = precision == FLOAT32 and any(declared.is_half for declared in declared_inputs(graph).values())
    return "fp16" if half else short(precision)


def provider_options(recipe: Recipe, folder: Path) -> dict[str, str]:
    """The options to compile with, and to run with: with another profile TensorRT would build again.

    They override the provider's defaults. ONNX Runtime's TensorRT provider reads several profiles of one input, but
    runs with the first of them only (microsoft/onnxruntime#31624). So each engine has one profile, the exact shape.
    """
    return {**recipe.options, **options_set_by_build(recipe, folder)}


def options_set_by_build(recipe: Recipe, folder: Path) -> dict[str, str]:
    """The options that a build sets itself, whatever else is given."""
    return compile_options(
        recipe.provider, folder, precision=recipe.precision, shapes=recipe.shapes, workspace=recipe.workspace
    )


def component_of(graph: Path) -> str:
    """The name of a graph: unet for unet/model.onnx, unet_step for unet/unet_step.onnx."""
    return graph.parent.name if graph.name == MODEL else graph.stem
