"""The student: the teacher's network, trained through the whole run of 1, 2 and 4 calls of DDIM, from noise to image.

The loss is of the finished images alone: their distance to the teacher's, in pixels and in features, and the critic's
score, which takes the blur away that a distance leaves. What the calls before the last one predict is free.
"""

from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from ddim_edge.diffusion.samplers import DdimConfig, DdimSchedule, sampler_config

from .. import loop
from ..fashion_mnist.train import Batches
from ..loop import Loss
from ..recipe import Recipe, ddim_file
from .critic import Critic, hinge
from .features import Features
from .pairs import Pairs

RECIPE = Recipe(steps=450, batch_size=16, learning_rate=4e-4, warmup_steps=30, decay_fraction=0.5, ema_decay=0.99)
RUN_WEIGHTS = {1: 0.2, 2: 1.0, 4: 1.0}
"""Numbers of calls, and how much their images count."""
SCHEDULER = ddim_file(num_steps=4)
DDIM = cast(DdimConfig, sampler_config(SCHEDULER))
FEATURE_WEIGHT = 0.5
CRITIC_WEIGHT = 0.1
SMALL = 1e-4


class Pair(nn.Module):
    """What is trained: the student, and the critic beside it."""

    def __init__(self, student: UNet2DModel) -> None:
        super().__init__()
        self.student, self.critic = student, Critic()


class Batch(NamedTuple):
    """Noise and the teacher's images, float32 (B, 1, 28, 28), and labels (B,)."""

    noise: Tensor
    images: Tensor
    labels: Tensor


def distil(
    student: UNet2DModel, features: Features, pairs: Pairs, real: Batches, recipe: Recipe, checkpoint: Path
) -> UNet2DModel:
    """Train to the recipe's end, from ``checkpoint`` if it exists. Returns the student with averaged weights."""
    torch.manual_seed(recipe.seed)
    pair: Any = Pair(student)
    pair.to(memory_format=torch.channels_last)
    trained: Pair = loop.train(pair, student_loss(features, pairs, real, recipe), recipe, checkpoint, save_every=25)
    return trained.student


def student_loss(features: Features, pairs: Pairs, real: Batches, recipe: Recipe) -> Loss:
    """The loss of student and critic at a step. Each part has its gradient in one of the two alone."""
    weights = torch.tensor(list(RUN_WEIGHTS.values())).repeat_interleave(recipe.batch_size)

    def loss(pair: Any, step: int, random: torch.Generator) -> Tensor:
        batch = draw(pairs, recipe.batch_size, random)
        images, classes = real(step)
        labels, ends = repeated(batch.labels), repeated(batch.images)
        with torch.autocast("cpu", torch.bfloat16):
            x_0 = torch.cat(runs(pair.student, batch.noise, batch.labels))
            made, seen = features(x_0), features(images)
            wanted = [repeated(part) for part in features(batch.images)]
            fooled = torch.func.functional_call(pair.critic, frozen(pair.critic), (made, labels))
            scores = pair.critic(seen, classes), pair.critic([part.detach() for part in made], labels)
        apart_by = rms(x_0 - ends) + FEATURE_WEIGHT * apart(made, wanted) - CRITIC_WEIGHT * fooled.mean(dim=1)
        return torch.as_tensor((weights * apart_by).sum() / recipe.batch_size + hinge(*scores))

    return loss


def repeated(rows: Tensor) -> Tensor:
    """``rows`` once for each of RUN_WEIGHTS' numbers of calls."""
    return torch.cat([rows] * len(RUN_WEIGHTS))


def draw(pairs: Pairs, count: int, random: torch.Generator) -> Batch:
    """``count`` random pairs."""
    rows = torch.randint(len(pairs.labels), (count,), generator=random)
    noise = pairs.noise[rows].float().contiguous(memory_format=torch.channels_last)
    return Batch(noise, pairs.images[rows].float(), pairs.labels[rows])


def runs(student: nn.Module, noise: Tensor, labels: Tensor) -> list[Tensor]:
    """The images after each of RUN_WEIGHTS' numbers of calls, float32. All runs share their first call's prediction."""
    first = predict(student, noise, DdimSchedule(DDIM, 1).timesteps[0], labels)
    return [run(student, noise, first, labels, calls) for calls in RUN_WEIGHTS]


def run(student: nn.Module, noise: Tensor, first: Tensor, labels: Tensor, calls: int) -> Tensor:
    """DDIM from ``noise``, whose prediction is ``first``."""
    schedule, sample, prediction = DdimSchedule(DDIM, calls), noise, first
    for step, row in enumerate(schedule.rows):
        if step:
            prediction = predict(student, sample, schedule.timesteps[step], labels)
        denoised = row.x0_x * sample + row.x0_p * prediction
        sample = row.next_x * sample + row.next_p * prediction + row.next_x0 * denoised
    return sample


def predict(student: nn.Module, sample: Tensor, timestep: int, labels: Tensor) -> Tensor:
    """The student's v, float32."""
    return torch.as_tensor(student(sample, int(timestep), class_labels=labels, return_dict=False)[0]).float()


def rms(difference: Tensor) -> Tensor:
    """The root of the mean square of each row, (B,)."""
    return (difference.float().square().flatten(1).mean(1) + SMALL).sqrt()


def apart(made: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """The distance of feature maps, relative to the size of those that are wanted, (B,)."""
    return torch.stack([rms(one - other) / rms(other) for one, other in zip(made, wanted, strict=True)]).mean(0)


def frozen(module: nn.Module) -> dict[str, Tensor]:
    """The parameters without gradient: what is computed with them trains only what comes before."""
    return {name: value.detach() for name, value in module.named_parameters()}
