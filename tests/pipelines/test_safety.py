"""A model's safety checker: beside diffusers, turned off aloud, and broken."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import ddim_edge
from ddim_edge.networks.safety_checker import UncheckedWarning, UnsafeWarning
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_networks import Diffusers

from .conftest import Family, FamilyOf
from .test_editing_against_diffusers import picture
from .test_families_against_diffusers import PROMPT, generator

SEEDS = range(6)


@pytest.fixture
def checked(family_of: FamilyOf) -> Family:
    return family_of("checked")


def theirs(family: Family, seed: int, kind: str, **options: Any) -> tuple[NDArray[np.float32], bool]:
    """One image of diffusers, in [0, 1], and whether it is safe."""
    pipeline = getattr(Diffusers, kind).from_pretrained(family.source, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    options = {"prompt": PROMPT, "guidance_scale": 4.0, "generator": generator(seed), "output_type": "np", **options}
    output = pipeline(**options)
    return output.images[0], not output.nsfw_content_detected[0]


def compare(result: ddim_edge.Result, wanted: list[tuple[NDArray[np.float32], bool]]) -> None:
    assert result.is_safe == tuple(safe for _, safe in wanted)
    assert set(result.is_safe) == {True, False}
    for found, (image, safe) in zip(result.images, wanted, strict=True):
        assert np.abs(found - np.round(image * 255)).max() <= 1
        assert bool(found.any()) == safe


def test_images_and_verdicts_are_those_of_diffusers(checked: Family) -> None:
    with pytest.warns(UnsafeWarning) as caught:
        result = checked.pipeline.generate(
            prompt=PROMPT, num_images=len(SEEDS), num_steps=2, guidance_scale=4.0, batch_size=4
        )
    compare(result, [theirs(checked, seed, "StableDiffusionPipeline", num_inference_steps=2) for seed in SEEDS])
    assert result.is_safe is not None
    unsafe = [index for index, safe in enumerate(result.is_safe) if not safe]
    assert [
        f"found image {index} (seed {index}) unsafe" in str(each.message)
        for index, each in zip(unsafe, caught, strict=True)
    ] == [True] * len(unsafe)


def test_changed_images_are_looked_at(checked: Family) -> None:
    image = torch.from_numpy(picture())
    wanted = [
        theirs(checked, seed, "StableDiffusionImg2ImgPipeline", image=image, num_inference_steps=5, strength=0.9)
        for seed in SEEDS
    ]
    with pytest.warns(UnsafeWarning):
        result = checked.pipeline.generate(
            prompt=PROMPT,
            num_images=len(SEEDS),
            num_steps=5,
            strength=0.9,
            guidance_scale=4.0,
            origin=ddim_edge.Origin(image=picture() * 2 - 1),
        )
    compare(result, wanted)


def test_turned_off_it_says_so_and_so_does_the_recipe(checked: Family) -> None:
    options: dict[str, Any] = {"prompt": PROMPT, "num_images": len(SEEDS), "num_steps": 2, "guidance_scale": 4.0}
    with pytest.warns(UncheckedWarning, match="is off: its images are unchecked"):
        result = checked.pipeline.generate(safety_checker=False, **options)
    assert result.is_safe is None
    assert all(image.any() for image in result.images)
    assert result.recipe["safety_checker"] is False
    with pytest.warns(UncheckedWarning):
        list(checked.pipeline.run(ddim_edge.Request.from_json(result.recipe)))
    with pytest.warns(UnsafeWarning):
        looked_at = checked.pipeline.generate(**options)
    assert "safety_checker" not in looked_at.recipe
    for image, other, safe in zip(looked_at.images, result.images, looked_at.is_safe or (), strict=True):
        np.testing.assert_array_equal(image, other if safe else 0)


def test_a_model_without_one_says_nothing(family_of: FamilyOf) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert family_of("stable-diffusion").pipeline.generate(prompt=PROMPT, num_steps=1).is_safe is None


def test_estimates_are_looked_at(checked: Family) -> None:
    options: dict[str, Any] = {"prompt": PROMPT, "num_images": len(SEEDS), "num_steps": 2, "batch_size": len(SEEDS)}
    first = next(checked.pipeline.run(checked.pipeline.request(**options)))
    with pytest.warns(UncheckedWarning):
        unchecked = next(checked.pipeline.run(checked.pipeline.request(**options, safety_checker=False)))
    looked_at, others = first.estimates(), unchecked.estimates()
    safe = [bool(image.any()) for image in looked_at]
    assert not all(safe)
    for image, other, passed in zip(looked_at, others, safe, strict=True):
        np.testing.assert_array_equal(image, other if passed else 0)
        assert other.any()


def test_the_command_line(checked: Family, invoke: Invoke, tmp_path: Path) -> None:
    options = ["--prompt", PROMPT, "-n", len(SEEDS), "-s", 2, "-g", 4]
    done = invoke("run", checked.bundle, *options, "-o", "checked/")
    assert done.code == 0
    black = [
        path.name for path in sorted((tmp_path / "checked").glob("*.png")) if not np.asarray(Image.open(path)).any()
    ]
    assert 0 < len(black) < len(SEEDS)
    lines = [line for line in done.err.splitlines() if "unsafe" in line]
    assert len(lines) == len(black)
    assert all(line.startswith("ddim-edge: warning: the model's safety checker found image") for line in lines)
    off = invoke("run", checked.bundle, *options, "--no-safety-checker", "-o", "unchecked/")
    assert off.code == 0
    assert [line for line in off.err.splitlines() if "warning" in line] == [
        f"ddim-edge: warning: the safety checker of {checked.bundle} is off: its images are unchecked"
    ]
    assert all(np.asarray(Image.open(path)).any() for path in (tmp_path / "unchecked").glob("*.png"))
    again = invoke("run", "--from-image", "unchecked/000000.png", "-o", "again.png")
    assert again.code == 0
    assert "its images are unchecked" in again.err


def test_what_it_needs_is_missing(checked: Family, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(checked.bundle, bundle)
    path = bundle / "feature_extractor" / "preprocessor_config.json"
    path.write_text(json.dumps({"size": {"longest_edge": 8}}))
    with pytest.raises(ddim_edge.BundleError, match=r"preprocessor_config.json does not say how to prepare an image"):
        ddim_edge.load(bundle, "cpu")
    path.unlink()
    with pytest.raises(
        ddim_edge.BundleError, match=r"preprocessor_config.json is missing, and the safety checker needs"
    ):
        ddim_edge.load(bundle, "cpu")
    shutil.rmtree(bundle / "safety_checker")
    with pytest.warns(UncheckedWarning, match="names a safety checker, and the bundle has none"):
        ddim_edge.load(bundle, "cpu")


def test_another_graph_in_its_place(checked: Family, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(checked.bundle, bundle, ignore=shutil.ignore_patterns("safety_checker"))
    shutil.copytree(bundle / "vae_decoder", bundle / "safety_checker")
    with pytest.raises(ddim_edge.BundleError, match=r"must take clip_input and images and return has_nsfw_concepts"):
        ddim_edge.load(bundle, "cpu").generate(prompt="a", num_steps=1)
