"""The distillation: its teacher, the trajectories, the student's loss, and the bundle that it made."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.diffusion.samplers import sampler_config, schedule_of
from ddim_edge.diffusion.schedule import alpha_bars
from ddim_edge.errors import ConfigError
from models.training.fashion_mnist.distil import student, trajectories
from models.training.fashion_mnist.distil.__main__ import SCHEDULER, TEACHER
from models.training.fashion_mnist.distil.critic import hinge
from models.training.fashion_mnist.distil.features import Features
from models.training.fashion_mnist.distil.teacher import LEVELS, Sample, Trajectories, follow, read_unet
from models.training.recipe import DIFFUSION, Recipe

SIGNAL = np.sqrt(alpha_bars(DIFFUSION))
NOISE = np.sqrt(1 - alpha_bars(DIFFUSION))
SPREAD = 0.5
"""Standard deviation of the Gaussian data whose trajectories are known."""


def of_gaussian(sample: Sample, timestep: int, _labels: torch.Tensor) -> Sample:
    """The exact v of data from N(0, SPREAD²)."""
    signal, noise = SIGNAL[timestep], NOISE[timestep]
    x_0 = signal * SPREAD**2 / _variance(timestep) * sample
    return np.asarray((signal * sample - x_0) / noise, np.float32)


def _variance(timestep: int) -> float:
    return float((SIGNAL[timestep] * SPREAD) ** 2 + NOISE[timestep] ** 2)


def test_the_teacher_is_the_graph_s_network() -> None:
    graph = TEACHER / "unet" / "model.onnx"
    sample = np.random.default_rng(0).standard_normal((3, 1, 28, 28), np.float32)
    labels = np.array([0, 7, 10])
    with torch.no_grad():
        found = read_unet(graph)(torch.from_numpy(sample), 500, class_labels=torch.from_numpy(labels)).sample.numpy()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"sample": sample, "timestep": np.full(3, 500), "class_labels": labels})[0]
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_trajectories_of_a_gaussian_are_those_of_its_ode() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 1, 28, 28), np.float32)
    found = follow(of_gaussian, noise, np.zeros(2, np.int64))
    np.testing.assert_array_equal(found.samples[:, 0], noise)
    for position, timestep in enumerate(LEVELS[1:], start=1):
        np.testing.assert_allclose(found.samples[:, position], noise * _variance(timestep) ** 0.5, rtol=0.03)
    np.testing.assert_allclose(found.ends, noise * SPREAD, rtol=0.03)


def test_trajectories_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    calls = []

    def predict(sample: Sample, timestep: int, labels: torch.Tensor) -> Sample:
        calls.append(labels[:12].tolist())
        return of_gaussian(sample, timestep, labels)

    first = trajectories.make(predict, 1, tmp_path)
    made = len(calls)
    both = trajectories.make(predict, trajectories.PER_FILE + 1, tmp_path)
    assert len(calls) == 2 * made
    assert (len(first.labels), len(both.labels)) == (trajectories.PER_FILE, 2 * trajectories.PER_FILE)
    np.testing.assert_array_equal(both.ends[: trajectories.PER_FILE], first.ends)
    assert both.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert calls[-1][:3] == [8, 9, 0]


@pytest.mark.parametrize(("calls", "timesteps"), [(1, LEVELS[:1]), (2, LEVELS[::2]), (4, LEVELS)])
def test_the_sampler_calls_the_student_where_it_was_trained(calls: int, timesteps: tuple[int, ...]) -> None:
    assert tuple(schedule_of(sampler_config(SCHEDULER), calls).timesteps) == timesteps


class Echo(nn.Module):
    """Predicts a multiple of the sample."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.1))

    def forward(self, sample: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor]:
        return (self.gain * sample,)


def _drawn() -> student.Points:
    random = np.random.default_rng(0)
    samples = random.standard_normal((5, len(LEVELS), 1, 28, 28), np.float32)
    found = Trajectories(samples, samples[:, 0], np.arange(5))
    tensors = Trajectories(*(torch.from_numpy(column) for column in found))  # type: ignore[arg-type]
    signals = torch.from_numpy(SIGNAL[list(LEVELS)]).float()
    return student.draw(tensors, signals, 20, torch.Generator().manual_seed(0))


def test_each_level_has_its_share_of_a_batch() -> None:
    points = _drawn()
    assert [int((points.timesteps == level).sum()) for level in LEVELS] == [20 * share for share in student.SHARES]


def test_x_0_is_that_of_the_sampler() -> None:
    points = _drawn()
    for position, timestep in enumerate(LEVELS):
        row = schedule_of(sampler_config(SCHEDULER), 4).rows[position]  # type: ignore[attr-defined]
        at = points.timesteps == timestep
        x = points.samples[at]
        wanted = row.f[0] * x + row.f[1] * (row.x0[0] * x + row.x0[1] * 0.1 * x)
        torch.testing.assert_close(student.denoised(Echo(), points)[at], wanted, rtol=1e-5, atol=1e-5)


def test_the_critic_learns_by_its_own_loss_alone() -> None:
    random = np.random.default_rng(0)
    samples = random.standard_normal((8, len(LEVELS), 1, 28, 28), np.float32)
    found = Trajectories(samples, samples[:, 0], np.arange(8))
    real = torch.randn(20, 1, 28, 28), torch.zeros(20, dtype=torch.long)
    features, pair = Features().requires_grad_(False), student.Pair(Echo())  # type: ignore[arg-type]
    loss = student.student_loss(features, found, lambda _step: real, Recipe(batch_size=20))
    loss(pair, 0, torch.Generator().manual_seed(0)).backward()
    assert pair.student.gain.grad is not None

    seen = [part.grad.clone() for part in pair.critic.parameters() if part.grad is not None]
    pair.zero_grad()
    tensors = Trajectories(*(torch.from_numpy(column) for column in found))  # type: ignore[arg-type]
    signals = torch.from_numpy(SIGNAL[list(LEVELS)]).float()
    points = student.draw(tensors, signals, 20, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        made = features(student.denoised(pair.student, points))
        scores = pair.critic(features(real[0]), real[1]), pair.critic(made, points.labels)
    hinge(*scores).backward()
    for one, other in zip(seen, (part.grad for part in pair.critic.parameters()), strict=True):
        torch.testing.assert_close(one, other)


def test_the_bundle_has_the_recipe_s_sampler_and_no_guidance() -> None:
    bundle = open_bundle("fashion-mnist-turbo")
    assert (bundle.scheduler, bundle.num_steps) == (sampler_config(SCHEDULER), 4)
    assert sum(path.stat().st_size for path in bundle.folder.rglob("*")) < 6e6
    with pytest.raises(ConfigError, match="no null class"):
        ddim_edge.load("fashion-mnist-turbo", "cpu").generate(guidance_scale=1.5)


def test_one_call_shows_what_the_teacher_shows_after_eight() -> None:
    options = {"num_images": 10, "labels": range(10)}
    made = _generated("fashion-mnist-turbo", num_steps=1, **options)
    wanted = _generated("fashion-mnist", guidance_scale=1.5, **options)
    other = _generated("fashion-mnist", num_steps=1, **options)
    assert _alike(made, wanted) > 0.85
    assert _alike(other, wanted) < _alike(made, wanted)


def _generated(model: str, **options: Any) -> np.ndarray[Any, Any]:
    images = ddim_edge.load(model, "cpu").generate(**options).images
    return np.stack([np.asarray(image, np.float64) for image in images])


def _alike(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """The mean correlation of the pictures."""
    pairs = zip(first, second, strict=True)
    return float(np.mean([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in pairs]))
