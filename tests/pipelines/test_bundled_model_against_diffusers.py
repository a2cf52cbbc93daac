"""Whole runs of the bundled model end where diffusers' own loop ends, fed by the same session and the same seeds."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.utils.torch_utils import randn_tensor

import ddim_edge
from ddim_edge.arrays import Pixels
from ddim_edge.generation.pipeline import Pipeline


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return ddim_edge.load("fashion-mnist", "cpu")


def _diffusers_loop(
    pipeline: Pipeline, labels: list[int], num_steps: int, eta: float, seed: int, scale: float
) -> Pixels:
    scheduler = DDIMScheduler.from_pretrained(pipeline.bundle.folder / "scheduler")
    scheduler.set_timesteps(num_steps)
    generators = [torch.Generator().manual_seed(seed + index) for index in range(len(labels))]
    sample = randn_tensor((len(labels), *pipeline.bundle.sample_shape), generator=generators)
    classes = np.array(labels)
    null = np.full(len(labels), pipeline.bundle.null_class)
    for timestep in scheduler.timesteps:
        prediction = _predict(pipeline, sample, int(timestep), classes)
        if scale != 1:
            base = _predict(pipeline, sample, int(timestep), null)
            prediction = base + scale * (prediction - base)
        sample = scheduler.step(prediction, timestep, sample, eta=eta, generator=generators).prev_sample
    unit = (sample / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    pixels: Pixels = (unit * 255).round().astype(np.uint8)
    return pixels


def _predict(pipeline: Pipeline, sample: torch.Tensor, timestep: int, classes: np.ndarray) -> torch.Tensor:
    feeds = {"sample": sample.numpy(), "timestep": np.full(len(sample), timestep), "class_labels": classes}
    return torch.from_numpy(pipeline.denoiser.session.run(feeds)["out_sample"])


@pytest.mark.parametrize(("num_steps", "eta", "scale"), [(50, 0.0, 1.0), (20, 1.0, 1.0), (10, 0.5, 2.0)])
def test_a_whole_run_is_diffusers_run(pipeline: Pipeline, num_steps: int, eta: float, scale: float) -> None:
    theirs = _diffusers_loop(pipeline, [0, 7, 8], num_steps, eta, seed=11, scale=scale)
    result = pipeline.generate(labels=[0, 7, 8], num_steps=num_steps, eta=eta, seed=11, guidance_scale=scale)
    off = np.abs(result.images.astype(int) - theirs.astype(int))
    assert np.mean(off <= 1) >= 0.99
    assert off.max() <= 16
