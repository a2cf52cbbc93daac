"""The key of an image: the same for the same bytes, another one for whatever changes them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge import Pipeline, load
from ddim_edge.diffusion.samplers import SAMPLERS
from ddim_edge.generation.requests.key import image_key
from ddim_edge.generation.requests.named_arrays import NamedArrays
from ddim_edge.generation.requests.origin import Origin
from ddim_edge.generation.requests.request import Request
from ddim_edge.images.encode import png_bytes
from ddim_edge.lora.adapter import UsedLora

PNG = {"format": "png", "level": None, "recipe": False}
BASE = Request(
    num_images=4,
    num_steps=5,
    batch_size=2,
    guidance_scale=2.0,
    prompts=("a", "b"),
    cache="forecast:3",
    sampler=SAMPLERS["ddim"](),
)
OTHERS: dict[str, Any] = {
    "num_steps": 6,
    "seed": 1,
    "noise": "numpy",
    "guidance_scale": 2.5,
    "guidance_mode": "cfg++",
    "guidance_rescale": 0.5,
    "image_guidance_scale": 1.5,
    "noise_level": 20,
    "guidance_interval": (0.1, 2.0),
    "strength": 0.5,
    "prompts": ("b", "a"),
    "between_prompts": True,
    "negative_prompt": "",
    "long_prompt": True,
    "prompt_weights": True,
    "clip_skip": 1,
    "height": 8,
    "width": 8,
    "shape": (8, 2),
    "control_scale": (1.0,),
    "ip_adapter_scale": (1.0,),
    "safety_checker": False,
    "vae_tiling": True,
    "vae_tile": 64,
    "cache": "forecast:5",
    "cache_threshold": 0.1,
    "rows_per_call": 1,
    "loras": (UsedLora("style", 0.5, "0" * 64),),
    "labels": (1,),
    "sampler": SAMPLERS["ddim"]().replace(eta=0.5),
    "origin": Origin(image=np.zeros((1, 8, 8), np.float32)),
    "conditioning": NamedArrays({"state": np.zeros((1, 3), np.float32)}),
}
COUNTS = {"num_images", "batch_size"}


def key(request: Request = BASE, index: int = 0, file: dict[str, Any] = PNG, **made: str) -> str:
    recipe = {"model": "tiny", "model_sha256": "0" * 64, "version": "1", **request.to_json()}
    return image_key(recipe, index, file, **{"provider": "cpu", "precision": "float32", **made})


def test_every_field_of_a_request_has_another_value_here() -> None:
    assert OTHERS.keys() == {field.name for field in dataclasses.fields(Request)} - COUNTS


@pytest.mark.parametrize("field", OTHERS)
def test_another_setting_is_another_key(field: str) -> None:
    needed = {"strength": {"origin": OTHERS["origin"]}, "guidance_mode": {"guidance_scale": 0.5}}
    before = dataclasses.replace(BASE, **needed.get(field, {}))
    assert key(dataclasses.replace(before, **{field: OTHERS[field]})) != key(before)


@given(data=st.data())
def test_all_keys_of_several_differences_differ(data: st.DataObject) -> None:
    fields = st.lists(st.sampled_from(sorted(OTHERS.keys() - {"strength", "guidance_mode"})), unique=True, max_size=4)
    one, other = data.draw(fields), data.draw(fields)
    keys = [key(dataclasses.replace(BASE, **{name: OTHERS[name] for name in names})) for names in (one, other)]
    assert (keys[0] == keys[1]) == (set(one) == set(other))


@pytest.mark.parametrize(
    "change",
    [{"provider": "cuda"}, {"precision": "float16"}, {"index": 1}]
    + [{"file": {**PNG, **file}} for file in ({"format": "webp"}, {"level": 1}, {"recipe": True})],
)
def test_another_maker_index_or_file_is_another_key(change: dict[str, Any]) -> None:
    assert key(**change) != key()


@pytest.mark.parametrize("name", ["model", "model_sha256", "version"])
def test_another_model_or_version_is_another_key(name: str) -> None:
    recipe = {"model": "tiny", "model_sha256": "0" * 64, "version": "1", **BASE.to_json()}
    keys = {image_key(each, 0, PNG, provider="cpu", precision="float32") for each in (recipe, {**recipe, name: "x"})}
    assert len(keys) == 2


@given(counts=st.tuples(*[st.integers(1, 40)] * 2), sizes=st.tuples(*[st.integers(1, 9)] * 2), data=st.data())
def test_numbers_matter_only_where_images_are_made_together(
    counts: tuple[int, int], sizes: tuple[int, int], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, min(counts) - 1))
    runs = [
        dataclasses.replace(BASE, num_images=count, batch_size=size) for count, size in zip(counts, sizes, strict=True)
    ]
    same = runs[0].chunk_of(index) == runs[1].chunk_of(index)
    assert (key(runs[0], index) == key(runs[1], index)) == same


@given(st.permutations(list({"model": "tiny", **BASE.to_json()})))
def test_the_order_of_a_recipe_and_how_a_number_is_written_do_not_matter(names: list[str]) -> None:
    recipe = {"model": "tiny", **BASE.to_json()}
    read = json.loads(json.dumps({name: recipe[name] for name in names}).replace("2.0", "2"))
    keys = {image_key(each, 0, PNG, provider="cpu", precision="float32") for each in (recipe, read)}
    assert len(keys) == 1


def test_files_of_one_key_are_the_same(tiny_bundle: Path) -> None:
    pipeline = load(tiny_bundle, "cpu")
    few, many = (files_by_key(pipeline, count) for count in (2, 5))
    assert (len(few), len(many)) == (2, 5)
    assert few.items() <= many.items()


def files_by_key(pipeline: Pipeline, count: int) -> dict[str, bytes]:
    run = pipeline.generate(labels=["cat"], num_images=count, num_steps=3, batch_size=1)
    keys = [image_key(run.recipe, k, PNG, provider=run.provider, precision="float32") for k in range(count)]
    return {key: png_bytes(image, {}) for key, image in zip(keys, run.images, strict=True)}
