"""Control images: what is refused, what a recipe holds, and which rows share a call."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddim_edge
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.images.decode import read_control
from tests.helpers.command_line import Invoke

from .conftest import Family, FamilyOf

FLAT = np.full((1, 3, 32, 32), 0.5, np.float32)

REFUSED: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "no image": ("controlled", {}, r"has a ControlNet, which needs an image: give control_images \(--control-image\)"),
    "too few": ("controlled", {"control_images": FLAT}, "has 2 ControlNets, and there are 1 control images"),
    "too many": ("controlled", {"control_images": [FLAT] * 3}, "has 2 ControlNets, and there are 3 control images"),
    "a strength": (
        "controlled",
        {"control_images": [FLAT] * 2, "control_scale": [1.0]},
        "has 2 ControlNets, and control_scale has 1 numbers",
    ),
    "no strength": (
        "controlled",
        {"control_images": [FLAT] * 2, "control_scale": -1},
        "control_scale must be a number",
    ),
    "another size": (
        "controlled",
        {"control_images": [FLAT, FLAT[..., :16]]},
        r"control_image_1 has the shape \(1, 3, 32, 16\), and the model needs \(N, \(3, 32, 32\)\)",
    ),
    "nothing": ("controlled", {"control_images": [FLAT, FLAT[:0]]}, r"shape \(0, 3, 32, 32\)"),
    "NaN": ("controlled", {"control_images": [FLAT, FLAT * np.nan]}, "control_image_1 contains NaN"),
    "no file": ("controlled", {"control_images": ["gone.png", FLAT]}, "gone.png is not there"),
    "twice": (
        "controlled",
        {"control_images": [FLAT, FLAT], "origin": ddim_edge.Origin(controls=(FLAT, FLAT))},
        "holds control images already",
    ),
    "no ControlNet": ("stable-diffusion", {"control_images": FLAT}, r"has no ControlNet: leave control_images"),
    "its strength": ("stable-diffusion", {"control_scale": 0.5}, "has no ControlNet: leave control_scale"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_means_nothing_is_named(what: str, family_of: FamilyOf) -> None:
    name, options, message = REFUSED[what]
    with pytest.raises(ddim_edge.ConfigError, match=message):
        family_of(name).pipeline.generate(prompt="a", num_steps=1, **options)


def without_the_second(family: Family, folder: Path) -> ddim_edge.Pipeline:
    """The family with its first ControlNet alone."""
    shutil.copytree(family.bundle, folder / "one", ignore=shutil.ignore_patterns("controlnet_1"))
    return ddim_edge.load(folder / "one", "cpu")


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ({"controlnet", "controlnet_1"}, {}, "takes the outputs of a ControlNet, and the bundle has no controlnet"),
        (
            {"unet"},
            {"unet": ("stable-diffusion", "unet")},
            "no inputs for the outputs of controlnet: export both together",
        ),
        ({"controlnet"}, {"controlnet": ("stable-diffusion", "unet")}, "controlnet takes .* does not fit the unet"),
    ],
)
def test_components_that_do_not_fit(
    ours: set[str], theirs: dict[str, tuple[str, str]], message: str, family_of: FamilyOf, tmp_path: Path
) -> None:
    """``ours`` are left out, ``theirs`` come from another family."""
    bundle = tmp_path / "bundle"
    shutil.copytree(family_of("controlled").bundle, bundle, ignore=shutil.ignore_patterns(*ours))
    for name, (other, part) in theirs.items():
        shutil.copytree(family_of(other).bundle / part, bundle / name)
    if "controlnet" in ours and not theirs:
        index = bundle / "model_index.json"
        with pytest.raises(
            ddim_edge.BundleError, match=r"controlnet.model.onnx is missing, and model_index.json names"
        ):
            ddim_edge.load(bundle, "cpu")
        index.write_text(index.read_text().replace('"controlnet"', '"another"'))
    with pytest.raises(ddim_edge.BundleError, match=message):
        ddim_edge.load(bundle, "cpu")


def test_the_model_is_also_its_controlnets(family_of: FamilyOf, tmp_path: Path) -> None:
    family = family_of("controlled")
    assert without_the_second(family, tmp_path).bundle.sha256 != family.pipeline.bundle.sha256


def test_a_recipe_holds_hashes_and_strengths(family_of: FamilyOf) -> None:
    pipeline, images = family_of("controlled").pipeline, (FLAT, FLAT / np.float32(2))
    result = pipeline.generate(prompt="a", num_steps=1, control_images=images, control_scale=0.5)
    assert result.recipe["control_scale"] == [0.5, 0.5]
    assert sorted(result.recipe["origin"]) == ["control_image", "control_image_1"]
    origin = ddim_edge.Origin(controls=images)
    request = ddim_edge.Request.from_json(result.recipe, origin)
    assert pipeline.recipe(request) == result.recipe
    with pytest.raises(ddim_edge.ConfigError, match="made from control_image, of which a recipe holds only the hash"):
        ddim_edge.Request.from_json(result.recipe)
    with pytest.raises(ddim_edge.ConfigError, match="made from another control_image: its hash"):
        ddim_edge.Request.from_json(result.recipe, ddim_edge.Origin(controls=images[::-1]))


def test_jobs_of_other_controls_share_a_call(family_of: FamilyOf) -> None:
    pipeline = family_of("controlled").pipeline
    options: list[dict[str, Any]] = [
        {"control_images": [FLAT, FLAT / 2]},
        {"control_images": [FLAT / 3, np.concatenate([FLAT, FLAT / 4])], "control_scale": [0.2, 1.5], "seed": 1},
    ]
    requests = [pipeline.request(prompt="a", num_steps=2, **each) for each in options]
    engine, calls = Engine(pipeline.denoiser), list[int]()
    jobs = [job_of(pipeline.bundle, request, 1, pipeline.components) for request in requests]
    for job in jobs:
        engine.add(job)
    pipeline.denoiser.on_call = lambda rows, _seconds: calls.append(rows)
    while engine.jobs:
        engine.step()
    assert calls == [4, 4]
    for job, request in zip(jobs, requests, strict=True):
        alone = job_of(pipeline.bundle, request, 1, pipeline.components)
        engine.add(alone)
        while engine.jobs:
            engine.step()
        np.testing.assert_allclose(job.result(), alone.result(), atol=1e-4)


def test_the_command_line(family_of: FamilyOf, invoke: Invoke, tmp_path: Path) -> None:
    bundle = family_of("controlled").bundle
    for name, colour in (("one.png", "teal"), ("two.png", "orange")):
        Image.new("RGB", (100, 60), colour).save(tmp_path / name)
    first, second = ["--control-image", "one.png"], ["--control-image", "two.png"]
    options = ["--prompt", "a", "-s", 2, "--height", 24, "--width", 48]
    strengths = ["--control-scale", 0.5, "--control-scale", 2]
    assert invoke("run", bundle, *options, *first, *second, *strengths, "-o", "made.png").code == 0
    images = [read_control(tmp_path / name, (3, 24, 48)) for name in ("one.png", "two.png")]
    assert images[1][0, :, 0, 0].tolist() == pytest.approx([1, 165 / 255, 0])
    by_hand = family_of("controlled").pipeline.generate(
        prompt="a", num_steps=2, height=24, width=48, control_images=images, control_scale=[0.5, 2]
    )
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "made.png")), by_hand.images[0])
    again = invoke("run", "--from-image", "made.png", *first, *second, "-o", "again.png")
    assert again.code == 0
    assert (tmp_path / "made.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert invoke("run", "--from-image", "made.png", *second, *first).failed_with("made from another control_image")
    assert invoke("run", bundle, *options).failed_with("give control_images (--control-image)")
    assert invoke("run", bundle, *options, *first).failed_with("2 ControlNets, and there are 1 control images")
    assert invoke("run", bundle, *options, *first, *second, "--control-scale", 1).failed_with("control_scale has 1 num")
    other = family_of("stable-diffusion").bundle
    assert invoke("run", other, "--prompt", "a", *first).failed_with("has no ControlNet: leave")
