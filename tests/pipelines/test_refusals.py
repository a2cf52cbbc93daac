"""What a latent model or a model of text cannot be asked, named; and what a recipe says of it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.text import TruncationWarning

from .conftest import FamilyOf
from .test_editing_against_diffusers import mask, picture

REFUSED: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "no prompt": ("stable-diffusion", {}, "is a text-to-image model: give a prompt"),
    "a number": ("stable-diffusion", {"prompt": 3}, "prompt must be a text or a list of texts, not 3"),
    "numbers": ("stable-diffusion", {"prompt": [3]}, r"prompt must be a text or a list of texts, not \[3\]"),
    "negative without guidance": (
        "stable-diffusion",
        {"prompt": "a", "negative_prompt": "b", "guidance_scale": 1},
        "off at guidance_scale 1: ",
    ),
    "a side": ("stable-diffusion", {"prompt": "a", "height": 33}, "height 33 is not a multiple of 2, .* use 32 or 34"),
    "a small side": ("stable-diffusion", {"prompt": "a", "width": 1}, "width 1 is not a multiple of 2, .* use 2"),
    "negative with a scale of 0": (
        "stable-diffusion",
        {"prompt": "a", "negative_prompt": "b", "guidance_scale": 0},
        "off at guidance_scale 0: set guidance_scale above 1",
    ),
    "what changes guidance": (
        "stable-diffusion",
        {"prompt": "a", "guidance_rescale": 0.7, "guidance_scale": 0.5},
        "off at guidance_scale 0.5: set guidance_scale",
    ),
    "no checker": (
        "stable-diffusion",
        {"prompt": "a", "safety_checker": False},
        "has no safety checker to turn off",
    ),
    "no side": ("stable-diffusion", {"prompt": "a", "width": 0}, "width must be"),
    "an image": (
        "stable-diffusion",
        {"prompt": "a", "height": 48, "strength": 1.0, "origin": ddim_edge.Origin(image=picture())},
        r"image has the shape \(1, 3, 32, 32\), and the model needs \(N, \(3, 48, 32\)\)",
    ),
    "a mask": (
        "stable-diffusion",
        {"prompt": "a", "origin": ddim_edge.Origin(image=picture(), mask=mask()[..., :16])},
        r"the mask has the shape \(1, 1, 32, 16\), and the model needs \(1, 1, \(32, 32\)\)",
    ),
    "latents as large as images": (
        "stable-diffusion",
        {"prompt": "a", "origin": ddim_edge.Origin(latents=np.zeros((1, 4, 32, 32), np.float32))},
        r"the model needs \(N, \(4, 16, 16\)\)",
    ),
    "built-in guidance": ("lcm", {"prompt": "a", "negative_prompt": "b"}, "has built-in guidance"),
    "no text": ("unconditional", {"prompt": "a"}, "does not take text: leave the prompt out"),
    "a negative alone": ("unconditional", {"negative_prompt": "a", "guidance_scale": 2}, "need a prompt"),
    "guidance": ("unconditional", {"guidance_scale": 2}, "needs a null class"),
    "no picture": ("instruct-pix2pix", {"prompt": "a"}, "takes a picture beside the sample"),
    "a picture too many": ("unconditional", {"images": picture()}, "takes no picture beside the sample"),
    "a picture of another size": (
        "instruct-pix2pix",
        {"prompt": "a", "height": 48, "images": picture()},
        r"images has the shape \(1, 3, 32, 32\), and the model needs \(N, \(3, 48, 32\)\)",
    ),
    "two scales where there is one": (
        "inpainting",
        {"prompt": "a", "image_guidance_scale": 2},
        "has one guidance scale, and none of a picture",
    ),
    "a scale of the picture without guidance": (
        "instruct-pix2pix",
        {"prompt": "a", "images": picture(), "guidance_scale": 1, "image_guidance_scale": 2},
        "needs guidance, which is off at guidance_scale 1",
    ),
    "too little of the picture": (
        "instruct-pix2pix",
        {"prompt": "a", "images": picture(), "image_guidance_scale": 0.5},
        "image_guidance_scale must be at least 1",
    ),
    "CFG++ with two scales": (
        "instruct-pix2pix",
        {"prompt": "a", "images": picture(), "guidance_mode": "cfg++"},
        "has two guidance scales, which CFG",
    ),
    "noise of no picture": ("inpainting", {"prompt": "a", "noise_level": 3}, "adds no noise to a picture"),
    "nothing to repaint": ("inpainting", {"prompt": "a"}, "is an inpainting model: give an image and a mask"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_means_nothing_is_named(what: str, family_of: FamilyOf) -> None:
    name, options, message = REFUSED[what]
    with pytest.raises(ddim_edge.ConfigError, match=message):
        family_of(name).pipeline.generate(num_steps=1, **options)


def test_pictures_are_not_encoded_with_an_inpainting_model(family_of: FamilyOf) -> None:
    pipeline = family_of("inpainting").pipeline
    message = "is an inpainting model, which encode and interpolate do not support"
    with pytest.raises(ddim_edge.ConfigError, match=message):
        ddim_edge.encode(pipeline, picture())
    with pytest.raises(ddim_edge.ConfigError, match=message):
        ddim_edge.interpolate(pipeline, 1, 2, 3, prompt="a")


@pytest.mark.parametrize("name", ["unconditional", "sdxl"])
def test_a_picture_is_encoded_to_latents_of_the_model(name: str, family_of: FamilyOf) -> None:
    pipeline = family_of(name).pipeline
    latents = ddim_edge.encode(pipeline, picture(), num_steps=2)
    assert latents.samples.shape == (1, *pipeline.bundle.sample_shape)
    request = ddim_edge.from_latents(pipeline, latents)
    assert (request.prompts, request.guidance_scale) == (("",) if name == "sdxl" else (), 1)


@pytest.mark.parametrize("part", ["vae_decoder", "text_encoder"])
def test_a_part_that_is_missing(part: str, family_of: FamilyOf, tmp_path: Path) -> None:
    shutil.copytree(family_of("stable-diffusion").bundle, tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle" / part)
    with pytest.raises(ddim_edge.BundleError, match=rf"{part}.model.onnx is missing, and model_index.json names"):
        ddim_edge.load(tmp_path / "bundle", "cpu")


def test_an_encoder_is_missed_only_where_it_is_needed(family_of: FamilyOf, tmp_path: Path) -> None:
    shutil.copytree(family_of("stable-diffusion").bundle, tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle" / "vae_encoder")
    pipeline = ddim_edge.load(tmp_path / "bundle", "cpu")
    assert pipeline.generate(prompt="a", num_steps=1).images.shape == (1, 32, 32, 3)
    with pytest.raises(ddim_edge.BundleError, match=r"vae_encoder.model.onnx is missing, and this needs it"):
        pipeline.generate(prompt="a", num_steps=2, origin=ddim_edge.Origin(image=picture()))


def test_an_autoencoder_of_other_channels(family_of: FamilyOf, tmp_path: Path) -> None:
    shutil.copytree(family_of("stable-diffusion").bundle, tmp_path / "bundle")
    path = tmp_path / "bundle" / "vae_decoder" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"latent_channels": 16}))
    with pytest.raises(ddim_edge.BundleError, match="takes 4 channels, and the autoencoder's latents have 16"):
        ddim_edge.load(tmp_path / "bundle", "cpu")


def test_a_recipe_makes_the_images_again(family_of: FamilyOf) -> None:
    pipeline = family_of("stable-diffusion").pipeline
    result = pipeline.generate(
        prompt=["a (cab:1.3)", "an old fox"],
        negative_prompt="ugly",
        prompt_weights=True,
        long_prompt=True,
        height=48,
        num_images=3,
        num_steps=2,
    )
    recipe = json.loads(json.dumps(result.recipe))
    assert recipe == result.recipe
    assert (recipe["prompts"], recipe["height"]) == (["a (cab:1.3)", "an old fox"], 48)
    request = ddim_edge.Request.from_json(recipe)
    again = [progress.images for progress in pipeline.run(request) if progress.images is not None]
    np.testing.assert_array_equal(np.concatenate(again), result.images)


def test_a_prompt_and_its_size_change_the_image(family_of: FamilyOf) -> None:
    pipeline = family_of("stable-diffusion").pipeline
    first, second = pipeline.generate(prompt=["aaaa", "z y x"], num_steps=2).images
    assert not np.array_equal(first, second)
    alone = pipeline.generate(prompt="z y x", num_steps=2, seed=1).images[0]
    np.testing.assert_array_equal(alone, second)


def test_what_was_cut_off_is_said(family_of: FamilyOf) -> None:
    with pytest.warns(TruncationWarning, match="its end was cut off"):
        family_of("stable-diffusion").pipeline.generate(prompt="abc " * 60, num_steps=1)


def test_jobs_of_other_shapes_take_turns(family_of: FamilyOf) -> None:
    """Other sizes, and prompts of other lengths, do not share a call; those that are alike do."""
    pipeline = family_of("stable-diffusion").pipeline
    options: list[dict[str, Any]] = [{"prompt": "a"}, {"prompt": "b", "height": 48}]
    options += [{"prompt": "abc " * 60, "long_prompt": True}, {"prompt": "d"}]
    requests = [pipeline.request(num_steps=2, **each) for each in options]
    engine = Engine(pipeline.denoiser)
    jobs = [job_of(pipeline.bundle, request, 0, pipeline.components) for request in requests]
    for job in jobs:
        engine.add(job)
    engine.step()
    assert [job.calls for job in jobs] == [1, 0, 0, 1]
    while engine.jobs:
        engine.step()
    for job, request in zip(jobs, requests, strict=True):
        alone = [progress.images for progress in pipeline.run(request) if progress.images is not None]
        found = pipeline.components.to_images(job.result()).astype(int)
        assert np.abs(found - np.concatenate(alone).astype(int)).max() <= 1
