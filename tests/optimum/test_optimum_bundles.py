"""Folders that optimum-onnx exported run unchanged, and agree with its own pipelines and with diffusers."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.images.encode import to_pixels
from tests.helpers.command_line import Invoke
from tests.optimum.conftest import needs_optimum

LATENTS_CLOSE = 1e-4
IMAGES_CLOSE = 1
"""Of 255 grey levels: a rounding."""

pytestmark = needs_optimum

RUNS = [
    ("stable-diffusion", "plain"),
    ("stable-diffusion", "guided"),
    ("sdxl", "plain"),
    ("sdxl", "guided"),
    ("sdxl", "guided from a text"),
]


class Run(NamedTuple):
    """A bundle of optimum's, what was asked of it, and what came out."""

    bundle: Path
    asked: dict[str, Any]
    results: dict[str, NDArray[np.float32]]

    def pixels(self, who: str) -> NDArray[np.float32]:
        pixels: NDArray[np.float32] = np.round(self.results[f"{who}_images"] * 255)
        return pixels


@pytest.fixture(params=RUNS, ids=" ".join)
def run(request: pytest.FixtureRequest, oracle: Path) -> Run:
    family, name = request.param
    asked = json.loads((oracle / family / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(oracle / family / f"{name}.npz") as results:
        return Run(oracle / family / "bundle", asked, dict(results))


@pytest.mark.parametrize("who", ["optimum", "diffusers"])
def test_the_latents_are_theirs(run: Run, who: str) -> None:
    pipeline = ddim_edge.load(run.bundle, "cpu")
    request = pipeline.request(**run.asked)
    engine = Engine(pipeline.denoiser)
    jobs = [job_of(pipeline.bundle, request, index, pipeline.components) for index in range(request.num_images)]
    for job in jobs:
        engine.add(job)
    while engine.jobs:
        engine.step()
    found = np.concatenate([job.result() for job in jobs])
    np.testing.assert_allclose(found, run.results[f"{who}_latents"], atol=LATENTS_CLOSE, rtol=0)


@pytest.mark.parametrize("who", ["optimum", "diffusers"])
def test_the_images_are_theirs(run: Run, who: str) -> None:
    images = ddim_edge.load(run.bundle, "cpu").generate(**run.asked).images
    assert np.abs(images - run.pixels(who)).max() <= IMAGES_CLOSE
    assert images.std() > 5


@pytest.mark.parametrize("who", ["optimum", "diffusers"])
def test_the_images_of_the_command_line_are_theirs(run: Run, who: str, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(run.asked["prompt"]), encoding="utf-8")
    options = ["--prompts", "prompts.txt", "--seed", run.asked["seed"], "-s", run.asked["num_steps"]]
    options += ["--guidance-scale", run.asked["guidance_scale"]]
    if "negative_prompt" in run.asked:
        options += ["--negative-prompt", run.asked["negative_prompt"]]
    done = invoke("run", run.bundle, *options, "--provider", "cpu", "-o", "out.npy")
    assert done.code == 0, done.err
    assert np.abs(to_pixels(np.load(tmp_path / "out.npy")) - run.pixels(who)).max() <= IMAGES_CLOSE


def test_the_runs_are_the_oracles(oracle: Path) -> None:
    assert {(path.parent.name, path.stem) for path in oracle.glob("*/*.npz")} == set(RUNS)
