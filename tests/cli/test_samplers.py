"""``run --sampler``, and watching a run, with every sampler."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddim_edge.diffusion.samplers import SAMPLERS, samplers_for
from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke

CALLS = {"pndm": 15, "heun": 11, "dpm2": 11, "dpm2-a": 11}
"""PNDM's warm-up makes nine calls more than its steps; the others of these two a step, but for the last."""


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_every_sampler_makes_a_picture_that_can_be_made_again(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, name: str
) -> None:
    outcome = invoke("run", tiny_bundle, "--sampler", name, "-s", 6, "-n", 3, "-g", 2, "-o", "out.png")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"6 steps of {name}" in outcome.out
    assert read_recipe(tmp_path / "out.png")["sampler"]["name"] == name
    assert invoke("run", "--from-image", "out.png", "-o", "again.png").code == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_every_sampler_runs_the_bundled_model(invoke: Invoke, tmp_path: Path, name: str) -> None:
    assert invoke("run", "--sampler", name, "-s", 5, "-n", 2, "-o", "out.npy").code == 0
    images = np.load(tmp_path / "out.npy")
    assert (images.shape, images.dtype) == ((2, 1, 28, 28), np.float32)
    assert (images[0] != images[1]).any()


def test_help_lists_every_sampler_with_a_line(invoke: Invoke) -> None:
    text = invoke("run", "--help").out
    for name, config in SAMPLERS.items():
        assert f"  {name:10} {config.summary}" in text


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_the_estimate_is_saved_after_every_so_many_calls(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, name: str
) -> None:
    calls = CALLS.get(name, 6)
    options: list[Any] = ["--sampler", name, "-s", 6, "-n", 3, "-b", 2, "--save-every", 4]
    assert invoke("run", tiny_bundle, *options, "-o", "out.png", "--gif").code == 0
    expected = {f"out-call-{call:04d}.png" for call in range(4, calls + 1, 4)}
    assert {path.name for path in tmp_path.glob("out-call-*")} == expected
    with Image.open(tmp_path / "out.gif") as animation, Image.open(tmp_path / "out.png") as picture:
        # Frames that are the same as the one before are merged.
        assert 1 < getattr(animation, "n_frames", 1) <= calls
        assert animation.size == picture.size
    assert invoke("run", tiny_bundle, *options, "-o", "images/").code == 0
    for index in range(3):
        found = {path.name for path in (tmp_path / "images").glob(f"{index:06d}*")}
        assert found == {f"{index:06d}.png"} | {name.replace("out", f"{index:06d}") for name in expected}


def test_the_last_estimate_is_the_image(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 4, "-n", 2, "--save-every", 2, "-o", "out.png").code == 0
    with Image.open(tmp_path / "out.png") as image, Image.open(tmp_path / "out-call-0004.png") as last:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(last))


def test_the_models_own_steps_are_the_default(invoke: Invoke, new_bundle: Any) -> None:
    new_bundle(scheduler={"_class_name": "UniPCMultistepScheduler", "num_inference_steps": 7})
    assert "7 steps of unipc" in invoke("run", "bundle").out
    assert "50 steps of ddim" in invoke("run", "bundle", "--eta", 0.5).out
    assert "4 steps of lcm" in invoke("run", "bundle", "--sampler", "lcm").out
    assert "usually 7 steps" in invoke("inspect", "bundle").out


@pytest.mark.parametrize("steps", ["many", 0, 5000, None, 2.5])
def test_a_models_own_steps_that_are_none(invoke: Invoke, new_bundle: Any, steps: Any) -> None:
    new_bundle(scheduler={"num_inference_steps": steps})
    if steps is None:
        assert invoke("run", "bundle", "-n", 1).code == 0
    else:
        assert invoke("run", "bundle").failed_with("num_inference_steps", repr(steps))


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--sampler", "dpmpp"], ["sampler 'dpmpp' is unknown. Did you mean 'dpmpp-2", "Valid: ddim, ddpm"]),
        (["--sampler", "pndm", "-s", 3], ["pndm", "at least 4 steps, not 3", "reduce_warmup"]),
        (["--sampler", "pndm", "-s", 1, "-c", "reduce_warmup=true"], ["at least 2 steps, not 1"]),
        (["--sampler", "lcm", "-s", 51], ["lcm takes its 51 steps from the 50"]),
        (["--sampler", "unipc", "--eta", 0.5], ["eta is an option of ddim, and the sampler is unipc"]),
        (["--sampler", "unipc", "-c", "eta=1"], ["an option of ddim, and the sampler is unipc: add --sampler ddim"]),
        (["--sampler", "pndm", "-c", "timestep_spacing=quadratic"], ["'quadratic' does not work with pndm"]),
        (["--sampler", "unipc", "-c", "lower_order_final=false"], ["final_sigma 'zero' needs lower_order_final"]),
        (["--guidance-interval", "1"], ["--guidance-interval must be two noise levels", "'1'"]),
        (["-g", 2, "--guidance-interval", "500,900"], ["contains no noise level of this model"]),
        (["--guidance-rescale", 0.5], ["off at guidance_scale 1: set guidance_scale"]),
        (["--guidance-interval", "0.5,3"], ["off at guidance_scale 1: set guidance_scale"]),
        (["-g", 2, "--guidance-interval", "0,inf"], ["upper level must be a number of at least 0"]),
        (["--guidance-rescale", 2], ["guidance_rescale must be a number from 0 to 1, not 2"]),
        (["--guidance-mode", "cfg++", "--sampler", "unipc"], ["cfg++ works with ddim, euler", "the sampler is unipc"]),
        (["--guidance-mode", "cfg++", "-g", 2], ["cfg++ takes a guidance_scale from 0 to 1, not 2"]),
        (["--guidance-mode", "apg"], ["--guidance-mode", "cfg++"]),
        (["--save-every", 0], ["--save-every must be at least 1, not 0"]),
        (["--save-every", 0, "-o", "images/"], ["--save-every must be at least 1, not 0"]),
    ],
)
def test_bad_input(invoke: Invoke, tiny_bundle: Path, options: list[Any], parts: list[str]) -> None:
    assert invoke("run", tiny_bundle, *options).failed_with(*parts)
