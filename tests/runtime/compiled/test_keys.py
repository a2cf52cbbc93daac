"""The keys of the cache of what was compiled: what they depend on, and what not."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge.graphs.fingerprint import graph_sha256, graph_stamps
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.recipe import Recipe
from tests.runtime.compiled.recipes import recipe_of


@pytest.fixture
def graph(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle(external=True) / "unet" / "model.onnx"


_texts = st.text(min_size=1, max_size=5)
_shapes = st.dictionaries(_texts, st.lists(st.integers(1, 9), max_size=4).map(tuple), max_size=3)
_machines = st.builds(Machine, _texts, st.none() | _texts, _texts, st.none() | _texts)
_recipes = st.builds(
    Recipe,
    st.sampled_from(("cpu", "tensorrt", "openvino")),
    st.just(Path("/bundle/unet/model.onnx")),
    _shapes,
    _machines,
    st.sampled_from((None, "fp32", "fp16", "int8")),
    st.none() | st.integers(1, 99),
    st.dictionaries(_texts, _texts, max_size=2),
)


@given(_recipes, _recipes, st.sampled_from("ab"), st.sampled_from("ab"))
def test_a_key_is_the_same_for_the_same_ingredients_and_for_no_others(
    one: Recipe, other: Recipe, one_sha256: str, other_sha256: str
) -> None:
    same = (one, one_sha256) == (other, other_sha256)
    assert (one.key(one_sha256) == other.key(other_sha256)) == same


@given(_recipes, st.data())
def test_every_ingredient_changes_the_key(recipe: Recipe, data: st.DataObject) -> None:
    changes: dict[str, Any] = {
        "provider": "tensorrt-rtx",
        "graph": Path("/bundle/vae_decoder/model.onnx"),
        "shapes": {**recipe.shapes, "added": (3,)},
        "precision": "bf16",
        "workspace": 100,
        "options": {"added": "1"},
        **{f"machine.{field.name}": "something new" for field in dataclasses.fields(Machine)},
    }
    name = data.draw(st.sampled_from(sorted(changes)))
    machine = dataclasses.replace(recipe.machine, **{name.partition(".")[2]: changes[name]}) if "." in name else None
    changed = dataclasses.replace(recipe, **({"machine": machine} if machine else {name: changes[name]}))
    assert changed.key("a") != recipe.key("a")
    assert recipe.key("b") != recipe.key("a")


def test_neither_path_nor_time_of_a_bundle_is_an_ingredient(graph: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(graph.parents[1], tmp_path / "elsewhere")) / "unet" / "model.onnx"
    os.utime(copy, (1, 1))
    assert graph_stamps(copy) != graph_stamps(graph)
    assert graph_sha256(copy) == graph_sha256(graph)
    assert recipe_of(copy).key("a") == recipe_of(graph).key("a")


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx_data"])
def test_the_hash_is_of_the_graph_and_of_its_weights(graph: Path, name: str) -> None:
    before = graph_sha256(graph)
    path = graph.with_name(name)
    contents = bytearray(path.read_bytes())
    contents[contents.find(b"unet")] ^= 1  # the graph's name, or some byte of the weights
    path.write_bytes(contents)
    assert graph_sha256(graph) != before
