"""The student: the teacher's architecture, which maps any point of a trajectory to its end.

Its loss has three parts: the distance of its x_0 to the trajectory's end, in pixels and in features, and the critic's
score, which takes the blur away that a distance leaves. The sampler is LCM's: x_0, fresh noise of the next level, x_0.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from ddim_edge.diffusion.schedule import alpha_bars

from ... import loop
from ...loop import Loss
from ...recipe import DIFFUSION, Recipe
from ..train import Batches
from .critic import Critic, hinge
from .features import Features
from .teacher import LEVELS, Trajectories

RECIPE = Recipe(steps=1_200, batch_size=48, learning_rate=8e-4, warmup_steps=50, decay_fraction=0.5, ema_decay=0.998)
SHARES = (0.35, 0.15, 0.25, 0.25)
"""How much of a batch is at each of LEVELS."""
FEATURE_WEIGHT = 0.5
CRITIC_WEIGHT = 0.05
SMALL = 1e-4


class Pair(nn.Module):
    """What is trained: the student, and the critic beside it."""

    def __init__(self, student: UNet2DModel) -> None:
        super().__init__()
        self.student, self.critic = student, Critic()


class Points(NamedTuple):
    """A batch of points on trajectories; ``signal`` and ``noise`` (B, 1, 1, 1) are their noise levels."""

    samples: Tensor
    ends: Tensor
    labels: Tensor
    timesteps: Tensor
    signal: Tensor
    noise: Tensor


def distil(
    student: UNet2DModel, features: Features, found: Trajectories, real: Batches, recipe: Recipe, checkpoint: Path
) -> UNet2DModel:
    """Train to the recipe's end, from ``checkpoint`` if it exists. Returns the student with averaged weights."""
    torch.manual_seed(recipe.seed)
    pair: Any = Pair(student).to(memory_format=torch.channels_last)
    trained: Pair = loop.train(pair, student_loss(features, found, real, recipe), recipe, checkpoint)
    return trained.student


def student_loss(features: Features, found: Trajectories, real: Batches, recipe: Recipe) -> Loss:
    """The loss of student and critic at a step. Each part has its gradient in one of the two alone."""
    table = np.sqrt(alpha_bars(DIFFUSION)[list(LEVELS)])
    signals = torch.from_numpy(table).float()
    tensors = Trajectories(*(torch.from_numpy(column) for column in found))

    def loss(pair: nn.Module, step: int, random: torch.Generator) -> Tensor:
        points = draw(tensors, signals, recipe.batch_size, random)
        images, classes = real(step)
        with torch.autocast("cpu", torch.bfloat16):
            x_0 = denoised(pair.student, points)
            made, wanted, seen = features(x_0), features(points.ends), features(images)
            fooled = torch.func.functional_call(pair.critic, frozen(pair.critic), (made, points.labels))
            scores = pair.critic(seen, classes), pair.critic([part.detach() for part in made], points.labels)
        distance = (rms(x_0 - points.ends) / points.noise.flatten()).mean()
        return distance + FEATURE_WEIGHT * apart(made, wanted) - CRITIC_WEIGHT * fooled.mean() + hinge(*scores)

    return loss


def draw(found: Any, signals: Tensor, count: int, random: torch.Generator) -> Points:
    """``count`` random points of the trajectories, at each level its share."""
    rows = torch.randint(len(found.labels), (count,), generator=random)
    ends = torch.tensor(SHARES).cumsum(0)[:-1] * count
    level = torch.bucketize(torch.arange(count), ends.round().long(), right=True)
    signal = signals[level].view(-1, 1, 1, 1)
    return Points(
        found.samples[rows, level].float().contiguous(memory_format=torch.channels_last),
        found.ends[rows].float(),
        found.labels[rows],
        torch.tensor(LEVELS)[level],
        signal,
        (1 - signal**2).sqrt(),
    )


def denoised(student: nn.Module, points: Points) -> Tensor:
    """The student's x_0 of the points, float32."""
    v = student(points.samples, points.timesteps, class_labels=points.labels, return_dict=False)[0]
    return torch.as_tensor(points.signal * points.samples - points.noise * v.float())


def rms(difference: Tensor) -> Tensor:
    """The root of the mean square of each row, (B,): unlike the square, it gives every level the same weight."""
    return (difference.float().square().flatten(1).mean(1) + SMALL).sqrt()


def apart(made: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """The mean distance of feature maps, relative to the size of those that are wanted."""
    return torch.stack([(rms(one - other) / rms(other)).mean() for one, other in zip(made, wanted, strict=True)]).mean()


def frozen(module: nn.Module) -> Mapping[str, Tensor]:
    """The parameters without gradient: what is computed with them trains only what comes before."""
    return {name: value.detach() for name, value in module.named_parameters()}
