"""Timesteps that are no whole numbers, and models of flow matching and EDM, through bundle, pipeline and recipe."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import ddim_edge
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.diffusion.samplers import schedule_of
from ddim_edge.errors import BundleError
from ddim_edge.generation.requests.origin import Origin
from ddim_edge.generation.requests.request import Request
from ddim_edge.networks.row import Row
from tests.helpers.tiny_bundles import tiny_model, tiny_prediction, write_bundle

EULER = {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
SANA = {"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": True, "prediction_type": "flow_prediction"}
WAN = {**SANA, "_class_name": "UniPCMultistepScheduler", "flow_shift": 3.0}
EDM = {"_class_name": "EDMEulerScheduler", "sigma_data": 1.0}
SHAPE = (1, 1, 8, 8)

# diffusers hands torch tensors to np.array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def bundle(folder: Path, scheduler: dict[str, Any], *, real: bool = True) -> Path:
    model = tiny_model(classes=False, real_timestep=real)
    return write_bundle(folder / "model", model, labels=None, scheduler=scheduler)


@pytest.mark.parametrize("keys", [EULER, {"_class_name": "EulerDiscreteScheduler"}, FLOW, SANA, WAN, EDM])
def test_a_run_is_diffusers(keys: dict[str, Any], tmp_path: Path) -> None:
    """Their loop with the tiny network. The timesteps of linspace and Karras levels are fractions."""
    theirs = getattr(diffusers, keys["_class_name"])(**{key: value for key, value in keys.items() if key[0] != "_"})
    theirs.set_timesteps(7)
    noise = noise_stream(5)(SHAPE)
    sample = torch.from_numpy(noise * np.float32(getattr(theirs, "init_noise_sigma", 1.0)))
    for timestep in theirs.timesteps:
        fed = theirs.scale_model_input(sample, timestep) if hasattr(theirs, "scale_model_input") else sample
        prediction = tiny_prediction(fed.numpy(), float(timestep))
        sample = theirs.step(torch.from_numpy(prediction), timestep, sample).prev_sample
    pipeline = ddim_edge.load(bundle(tmp_path, keys), "cpu")
    images = pipeline.generate(num_steps=7, seed=5).images
    expected = np.clip((sample.numpy() + 1) * 127.5, 0, 255)
    assert abs(images[0, ..., 0] - expected[0, 0]).max() <= 0.51


@pytest.mark.parametrize("keys", [FLOW, EDM])
def test_an_image_is_noised_to_the_level_of_the_first_step(keys: dict[str, Any], tmp_path: Path) -> None:
    pipeline = ddim_edge.load(bundle(tmp_path, keys), "cpu")
    image = np.full(SHAPE, 0.25, np.float32)
    request = pipeline.request(num_steps=10, seed=3, origin=Origin(image=image), strength=0.5)
    schedule = schedule_of(request.sampler, 10, 0.5)
    assert len(list(pipeline.run(request))) == len(schedule.levels) == 5
    level = schedule.levels[0]
    if keys is FLOW:
        np.testing.assert_allclose(level.signal + level.noise, 1)
    else:
        np.testing.assert_allclose(level.signal**2 + level.noise**2, 1)
    masked = pipeline.generate(num_steps=6, origin=Origin(image=image, mask=np.eye(8, dtype=bool)[None, None]))
    assert (masked.images[0, ..., 0][~np.eye(8, dtype=bool)] == round((0.25 + 1) * 127.5)).all()


def test_a_network_of_whole_timesteps_gets_the_nearest_one_from_euler(tmp_path: Path) -> None:
    old, new = (ddim_edge.load(bundle(tmp_path / str(real), EULER, real=real), "cpu") for real in (False, True))
    rounded, exact = old.request(num_steps=6), new.request(num_steps=6)
    assert schedule_of(rounded.sampler, 6).timesteps.dtype == np.int64
    np.testing.assert_array_equal(
        schedule_of(rounded.sampler, 6).timesteps, schedule_of(exact.sampler, 6).timesteps.round()
    )
    assert schedule_of(exact.sampler, 6).timesteps.dtype == np.float64
    assert old.generate(num_steps=6).recipe.get("recipe_version") is None


def test_a_recipe_without_a_version_keeps_the_rounded_timesteps(tmp_path: Path) -> None:
    pipeline = ddim_edge.load(bundle(tmp_path, EULER), "cpu")
    recipe = pipeline.recipe(pipeline.request(num_steps=6))
    assert recipe["recipe_version"] == 2
    assert Request.from_json(recipe) == pipeline.request(num_steps=6)
    old = Request.from_json({name: value for name, value in recipe.items() if name != "recipe_version"})
    assert schedule_of(old.sampler, 6).timesteps.dtype == np.int64
    assert "recipe_version" not in old.to_json()
    with pytest.raises(ddim_edge.ConfigError, match="the recipe has version 3, and this version of ddim-edge reads"):
        Request.from_json({**recipe, "recipe_version": 3})


@pytest.mark.parametrize("keys", [FLOW, EDM])
def test_a_network_of_whole_timesteps_is_refused_where_they_are_fractions(keys: dict[str, Any], tmp_path: Path) -> None:
    pipeline = ddim_edge.load(bundle(tmp_path, keys, real=False), "cpu")
    with pytest.raises(ddim_edge.ConfigError, match=r"takes whole numbers alone: `ddim-edge upgrade .*`, or export"):
        pipeline.request(num_steps=6)


def test_a_fraction_is_never_cut_off_on_its_way_to_the_network(tmp_path: Path) -> None:
    denoiser = ddim_edge.load(bundle(tmp_path, EULER, real=False), "cpu").denoiser
    row = Row(np.zeros(SHAPE, np.float32), 499.9, {}, None, 1.0)
    with pytest.raises(BundleError, match=r"whole timesteps alone, and was given 499\.9"):
        denoiser.predict([row])
    assert denoiser.predict([row._replace(timestep=499)]).max() == np.float32(0.499)


@pytest.mark.parametrize("keys", [EULER, FLOW, EDM])
def test_guidance_in_an_interval_goes_by_the_noise_level(keys: dict[str, Any], tmp_path: Path) -> None:
    model = tiny_model(real_timestep=True)
    pipeline = ddim_edge.load(write_bundle(tmp_path / "model", model, scheduler=keys), "cpu")
    calls: list[int] = []
    pipeline.denoiser.on_call = lambda rows, _seconds: calls.append(rows)
    request = pipeline.request(labels=["dog"], num_steps=12, guidance_scale=2.0, guidance_interval=(0.4, 3.0))
    list(pipeline.run(request))
    sigmas = schedule_of(request.sampler, 12).levels.sigmas
    assert calls == [2 if 0.4 < sigma <= 3.0 else 1 for sigma in sigmas]
    assert set(calls) == {1, 2}


def test_the_shift_follows_the_size_of_the_image(tmp_path: Path) -> None:
    keys = {**FLOW, "use_dynamic_shifting": True, "base_image_seq_len": 16, "max_image_seq_len": 64}
    pipeline = ddim_edge.load(bundle(tmp_path, keys), "cpu")
    recipe = pipeline.recipe(pipeline.request(num_steps=4))
    assert recipe["sampler"]["image_seq_len"] == 16
    theirs = diffusers.FlowMatchEulerDiscreteScheduler.from_config(keys)
    theirs.set_timesteps(4, mu=0.5)
    request = Request.from_json(recipe)
    np.testing.assert_allclose(schedule_of(request.sampler, 4).timesteps, theirs.timesteps.numpy(), rtol=1e-6)
