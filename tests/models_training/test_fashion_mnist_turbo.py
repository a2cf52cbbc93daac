"""The distillation: its teacher, the pairs of noise and image, the student's runs and loss."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.diffusion.schedule import alpha_bars
from ddim_edge.errors import ConfigError
from models.training.fashion_mnist.data import DEFAULT_FOLDER
from models.training.fashion_mnist_turbo import __main__ as recipe
from models.training.fashion_mnist_turbo import critic, features, pairs, student, teacher
from models.training.recipe import DIFFUSION, Recipe

SIGNAL = np.sqrt(alpha_bars(DIFFUSION))
NOISE = np.sqrt(1 - alpha_bars(DIFFUSION))
SPREAD = 0.5
"""Standard deviation of the Gaussian data whose images are known."""


def of_gaussian(sample: teacher.Sample, timestep: int, _labels: torch.Tensor) -> teacher.Sample:
    """The exact v of data from N(0, SPREAD²)."""
    signal, noise = SIGNAL[timestep], NOISE[timestep]
    x_0 = signal * SPREAD**2 / ((signal * SPREAD) ** 2 + noise**2) * sample
    return np.asarray((signal * sample - x_0) / noise, np.float32)


def test_the_teacher_is_the_graph_s_network() -> None:
    graph = recipe.TEACHER / "unet" / "model.onnx"
    sample = np.random.default_rng(0).standard_normal((3, 1, 28, 28), np.float32)
    labels = np.array([0, 7, 10])
    unet: Any = teacher.read_unet(graph)
    with torch.no_grad():
        found = unet(torch.from_numpy(sample), 500, class_labels=torch.from_numpy(labels)).sample.numpy()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"sample": sample, "timestep": np.full(3, 500), "class_labels": labels})[0]
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_two_of_the_teacher_s_eight_calls_are_guided() -> None:
    asked: list[tuple[int, int]] = []

    class Network(nn.Module):
        def forward(self, sample: torch.Tensor, timestep: int, class_labels: torch.Tensor, **_: Any) -> Any:
            asked.append((timestep, int(class_labels[0])))
            return (torch.zeros_like(sample),)

    teacher.images(teacher.guided(Network()), np.zeros((1, 1, 4, 4), np.float32), np.array([3]))
    without_class = [timestep for timestep, label in asked if label == 10]
    assert (len(asked), len(without_class)) == (10, 2)
    sigmas = [float(NOISE[timestep] / SIGNAL[timestep]) for timestep in without_class]
    assert sigmas == pytest.approx([2.33, 0.66], rel=0.02)


def test_images_of_a_gaussian_are_those_of_its_ode() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 1, 28, 28), np.float32)
    np.testing.assert_allclose(teacher.images(of_gaussian, noise, np.zeros(2, np.int64)), noise * SPREAD, rtol=0.1)


def test_pairs_that_are_there_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "PER_FILE", 12)
    calls = []

    def predict(sample: teacher.Sample, timestep: int, labels: torch.Tensor) -> teacher.Sample:
        calls.append(labels.tolist())
        return of_gaussian(sample, timestep, labels)

    first = pairs.make(predict, 1, tmp_path)
    assert calls == [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]] * teacher.STEPS
    both = pairs.make(predict, 13, tmp_path)
    assert calls[teacher.STEPS :] == [[2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3]] * teacher.STEPS
    assert (len(first.labels), len(both.labels)) == (12, 24)
    torch.testing.assert_close(both.images[:12], first.images)
    torch.testing.assert_close(both.images.float(), both.noise.float() * SPREAD, rtol=0.1, atol=0.01)


class Echo(nn.Module):
    """Predicts a multiple of the sample, which depends on the timestep."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, sample: torch.Tensor, timestep: int, **_: Any) -> tuple[torch.Tensor]:
        return (self.gain * sample * (timestep / 1000 - 0.5),)


def test_the_student_s_runs_are_those_of_the_sampler() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 1, 4, 4), np.float32)
    with torch.no_grad():
        found = student.runs(Echo(), torch.from_numpy(noise), torch.zeros(2, dtype=torch.long))
    for calls, images in zip(student.RUN_WEIGHTS, found, strict=True):
        np.testing.assert_allclose(images.numpy(), _few_calls(_echo, noise, calls), rtol=1e-5, atol=1e-6)


def _few_calls(predict: teacher.Predict, noise: teacher.Sample, calls: int) -> teacher.Sample:
    return teacher.images(predict, noise, np.arange(len(noise)), student.DDIM, calls)


def _echo(sample: teacher.Sample, timestep: int, _labels: torch.Tensor) -> teacher.Sample:
    return np.float32(0.3) * sample * np.float32(timestep / 1000 - 0.5)


def test_the_critic_learns_by_its_own_loss_alone() -> None:
    random = torch.Generator().manual_seed(0)
    noise, images = torch.randn(2, 8, 1, 28, 28, generator=random)
    found = pairs.Pairs(noise, images, torch.arange(8))
    real = torch.randn(6, 1, 28, 28, generator=random), torch.zeros(6, dtype=torch.long)
    maps, both = features.Features().requires_grad_(False), student.Pair(Echo())
    loss = student.student_loss(maps, found, lambda _step: real, Recipe(batch_size=6))
    loss(both, 0, torch.Generator().manual_seed(0)).backward()
    assert both.student.gain.grad is not None
    seen = [part.grad.clone() for part in both.critic.parameters() if part.grad is not None]

    both.zero_grad()
    batch = student.draw(found, 6, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        made = maps(torch.cat(student.runs(both.student, batch.noise, batch.labels)))
        scores = both.critic(maps(real[0]), real[1]), both.critic(made, student.repeated(batch.labels))
    critic.hinge(*scores).backward()
    for one, other in zip(seen, (part.grad for part in both.critic.parameters()), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
def test_the_recipe_runs_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pairs, "PER_FILE", 2)
    monkeypatch.setattr(student, "RECIPE", dataclasses.replace(student.RECIPE, batch_size=2))
    monkeypatch.setattr(recipe, "FEATURES", dataclasses.replace(features.RECIPE, steps=1, batch_size=2))
    before = teacher.read_unet(recipe.TEACHER / "unet" / "model.onnx").state_dict()
    for steps in (1, 2):
        made = recipe.distil(tmp_path, recipe.TEACHER, DEFAULT_FOLDER, 2, steps).state_dict()
    printed = capsys.readouterr().out
    assert "student: step 1 of 1" in printed
    assert "student: step 2 of 2" in printed
    assert any(not torch.equal(made[name], before[name]) for name in before)


def test_the_bundle_has_the_recipe_s_sampler_and_no_guidance() -> None:
    bundle = open_bundle("fashion-mnist-turbo")
    assert (bundle.scheduler, bundle.num_steps) == (student.DDIM, 4)
    assert sum(path.stat().st_size for path in bundle.folder.rglob("*")) < 6e6
    with pytest.raises(ConfigError, match="null class"):
        ddim_edge.load("fashion-mnist-turbo", "cpu").generate(guidance_scale=1.5)


def test_its_images_are_nearer_to_the_teacher_s_than_those_of_the_teacher_in_as_many_calls() -> None:
    wanted = _made("fashion-mnist", guidance_scale=teacher.GUIDANCE, guidance_interval=teacher.INTERVAL)
    for calls in (2, 4):
        own, other = (_made(name, num_steps=calls, sampler="ddim") for name in ("fashion-mnist-turbo", "fashion-mnist"))
        assert _rms(own - wanted) < 0.6 * _rms(other - wanted)


def _made(model: str, **options: Any) -> teacher.Sample:
    images = ddim_edge.load(model, "cpu").generate(num_images=10, labels=range(10), **options).images
    return np.stack([np.asarray(image, np.float32) for image in images])


def _rms(difference: teacher.Sample) -> float:
    return float(np.sqrt(np.square(difference).mean()))
