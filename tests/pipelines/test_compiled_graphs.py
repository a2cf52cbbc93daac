"""Every graph of a Stable Diffusion bundle, optimized for the CPU ahead of time, makes the very same images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.arrays import Array
from ddim_edge.build.plan import BuildRequest, plan
from ddim_edge.build.run import build
from ddim_edge.bundle.read import open_bundle
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.places import user_cache
from ddim_edge.runtime.compiled.store import find
from ddim_edge.runtime.providers.device import Device

from .conftest import FamilyOf

CPU = Device("cpu")


def test_a_stable_diffusion_bundle_optimized_ahead_of_time_makes_the_same_images(
    family_of: FamilyOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    family = family_of("stable-diffusion")
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path))
    options: dict[str, Any] = {"prompt": "a fox", "num_steps": 2, "seed": 3}
    plain = family.pipeline.generate(**options).images
    recipes = plan(open_bundle(family.bundle), CPU, BuildRequest())
    assert [recipe.component for recipe in recipes] == ["unet", "vae_decoder", "vae_encoder", "text_encoder"]
    assert all(end.compiled for end in build(recipes, user_cache(), CPU) if end.compiled)
    assert all(find(recipe.graph, "cpu").fitting for recipe in recipes)
    np.testing.assert_array_equal(ddim_edge.load(family.bundle, "cpu").generate(**options).images, plain)


@pytest.mark.parametrize(
    ("name", "component"), [("stable-diffusion", "unet"), ("controlled", "controlnet"), ("sdxl-controlled", "unet")]
)
def test_every_shape_that_an_engine_would_be_built_for_runs(
    family_of: FamilyOf, monkeypatch: pytest.MonkeyPatch, name: str, component: str
) -> None:
    bundle = open_bundle(family_of(name).bundle)
    monkeypatch.setattr("ddim_edge.build.plan._check_loads", lambda _device: None)
    monkeypatch.setattr(Machine, "of", lambda _provider, _which=None: Machine("GPU", None, "1", "TensorRT 10"))
    recipes = plan(bundle, Device("tensorrt"), BuildRequest(batches=(1, 2)))
    assert [recipe.shapes["sample"][0] for recipe in recipes if recipe.component == component] == [1, 2, 4]
    for recipe in recipes:
        session = ddim_edge.Session(recipe.graph, "cpu")
        assert session.run(_feeds(session, recipe.shapes))


def _feeds(session: ddim_edge.Session, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    rng, feeds = np.random.default_rng(0), {}
    for name, info in session.inputs.items():
        fixed = tuple(axis for axis in info.shape if isinstance(axis, int))
        feeds[name] = rng.integers(0, 9, shapes.get(name, fixed))
    return feeds
