"""Bundles whose scheduler file names an Euler sampler, as SDXL's and Turbo's do, beside diffusers."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_networks import change

from .conftest import Family, FamilyOf
from .recording import check_alike, close, recording
from .test_editing_against_diffusers import check as check_editing
from .test_families_against_diffusers import PROMPT, SEED, generator

# diffusers hands torch tensors to np.array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EULER, ANCESTRAL = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"
_NOISE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def with_scheduler(family: Family, folder: Path, name: str, **options: Any) -> Family:
    """The family with another scheduler's file, in the pipeline's folder and in the bundle."""
    folders = folder / "source", folder / family.bundle.name
    for original, copy in zip((family.source, family.bundle), folders, strict=True):
        shutil.copytree(original, copy)
        keys = {"_class_name": name, "_diffusers_version": "0.42.1", **_NOISE, **options}
        (copy / "scheduler" / "scheduler_config.json").write_text(json.dumps(keys))
        change(copy / "model_index.json", scheduler=["diffusers", name])
    return Family(*folders, ddim_edge.load(folders[1], "cpu"))


def check(family: Family, steps: int, scale: float, theirs_scale: float | None = None) -> None:
    """Each step fed the same samples, and our whole run by itself: the same latents and the same image."""
    pipeline = family.diffusers()
    options: dict[str, Any] = {"prompt": PROMPT, "num_inference_steps": steps, "output_type": "np"}
    with recording(pipeline, scale) as record:
        pipeline(generator=generator(), guidance_scale=scale if theirs_scale is None else theirs_scale, **options)
    ours = family.pipeline
    request = ours.request(seed=SEED, prompt=PROMPT, num_steps=steps, guidance_scale=scale)
    check_alike(ours, request, record)
    job, engine = job_of(ours.bundle, request, 0, ours.components), Engine(ours.denoiser)
    engine.add(job)
    while engine.jobs:
        engine.step()
    assert record.latents is not None
    assert record.decoded is not None
    assert ours.components.vae is not None
    close(job.result(), record.latents)
    close(ours.components.vae.decode(job.result()), record.decoded)


def test_sdxl_as_published(family_of: FamilyOf, tmp_path: Path) -> None:
    check(with_scheduler(family_of("sdxl"), tmp_path, EULER, timestep_spacing="leading"), 5, 5.0)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_turbo_without_guidance(steps: int, family_of: FamilyOf, tmp_path: Path) -> None:
    family = with_scheduler(family_of("sdxl"), tmp_path, ANCESTRAL, timestep_spacing="trailing")
    check(family, steps, 1.0, theirs_scale=0.0)


def test_velocity(family_of: FamilyOf, tmp_path: Path) -> None:
    options = {"timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    check(with_scheduler(family_of("stable-diffusion-2"), tmp_path, EULER, **options), 3, 4.0)


@pytest.mark.parametrize("name", [EULER, ANCESTRAL])
@pytest.mark.parametrize(("masked", "strength"), [(False, 0.5), (False, 1.0), (True, 0.6), (True, 1.0)])
def test_an_image_is_changed(masked: bool, strength: float, name: str, family_of: FamilyOf, tmp_path: Path) -> None:
    family = with_scheduler(family_of("stable-diffusion"), tmp_path, name, timestep_spacing="trailing")
    kind = "StableDiffusionInpaintPipeline" if masked else "StableDiffusionImg2ImgPipeline"
    theirs = {"num_inference_steps": 5, "strength": strength}
    check_editing(family, kind, theirs, {"num_steps": 5, "strength": strength}, masked=masked)


def test_on_the_command_line(family_of: FamilyOf, tmp_path: Path, invoke: Invoke) -> None:
    family = with_scheduler(family_of("sdxl"), tmp_path, ANCESTRAL, timestep_spacing="trailing")
    done = invoke("run", family.bundle, "--prompt", "a", "-s", 2, "-g", 1, "-o", "out.npy")
    assert (done.code, done.err) == (0, "")
    assert "2 steps of euler-a" in done.out
    own = family.pipeline.generate(prompt="a", num_steps=2, guidance_scale=1.0, num_images=1).samples
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), own)
    assert "fresh noise at every step" in invoke("inspect", family.bundle).out
