"""Recipes of graphs for a GPU, and folders of the cache as a build leaves them."""

import dataclasses
from pathlib import Path
from typing import Any

import onnx

from ddim_edge.graphs.fingerprint import graph_sha256
from ddim_edge.runtime.compiled.entry import Compiled, write_record
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.places import user_cache
from ddim_edge.runtime.compiled.recipe import Recipe
from tests.helpers.tiny_bundles import tiny_model

GPU = Machine("NVIDIA RTX A2000 8.6", "570.86.10", "1.32.0", "TensorRT 10.9.0")
SHAPES = {"sample": (2, 4, 64, 64), "timestep": (2,)}


def recipe_of(graph: Path, **changes: Any) -> Recipe:
    """How the graph is built with TensorRT in fp16."""
    return dataclasses.replace(Recipe("tensorrt", graph, SHAPES, GPU, "fp16", 2**30), **changes)


def build(recipe: Recipe, cache: Path | None = None) -> Compiled:
    """Write what a build of the recipe would, into ``cache`` or the user's."""
    sha256 = graph_sha256(recipe.graph)
    folder = recipe.folder(cache or user_cache(), sha256)
    folder.mkdir(parents=True)
    (folder / "an.engine").write_bytes(b"1234")
    if recipe.provider != "tensorrt":
        onnx.save(tiny_model(), folder / "model.onnx")
    return write_record(folder, recipe, sha256, 12.5)
