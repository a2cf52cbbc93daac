"""Trains the denoiser, and beside it a plain regression of the same size, which predicts the mean chunk."""

from pathlib import Path

import torch
from torch.nn import functional

from ddim_edge.diffusion.samplers import DdimConfig
from ddim_edge.diffusion.schedule import alpha_bars
from ddim_edge_export.policy.unet1d import ConditionalUnet1d, Unet1dConfig

from .. import loop
from ..loop import Loss
from ..recipe import Recipe
from .data import N_OBS_STEPS, Examples

DIFFUSION = DdimConfig(num_train_steps=100, beta_schedule="squared_cosine")
"""LeRobot's defaults."""
RECIPE = Recipe(steps=6_000, batch_size=128, learning_rate=1e-3, ema_decay=0.998)
UNET = Unet1dConfig(
    action_dim=2,
    cond_dim=6 * N_OBS_STEPS,
    down_dims=(32, 64),
    kernel_size=5,
    n_groups=8,
    step_embed_dim=32,
    scales=True,
)


def train(examples: Examples, recipe: Recipe, checkpoint: Path) -> ConditionalUnet1d:
    """Train the denoiser to predict ε, from ``checkpoint`` if it exists. Returns it with averaged weights."""
    return _train(denoising_loss(examples, recipe), recipe, checkpoint)


def train_mean(examples: Examples, recipe: Recipe, checkpoint: Path) -> ConditionalUnet1d:
    """Train the same network to predict a chunk from the conditioning alone: the mean of all ways."""
    return _train(regression_loss(examples, recipe), recipe, checkpoint)


def _train(loss: Loss, recipe: Recipe, checkpoint: Path) -> ConditionalUnet1d:
    torch.manual_seed(recipe.seed)
    trained: ConditionalUnet1d = loop.train(ConditionalUnet1d(UNET), loss, recipe, checkpoint, save_every=500)
    return trained


def denoising_loss(examples: Examples, recipe: Recipe) -> Loss:
    """The mean squared error of ε at random timesteps."""
    levels = torch.from_numpy(alpha_bars(DIFFUSION)).float()

    def loss(unet: torch.nn.Module, _step: int, random: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(examples.chunks), (recipe.batch_size,), generator=random)
        times = torch.randint(len(levels), (recipe.batch_size,), generator=random)
        chunks = examples.chunks[rows]
        noise = torch.randn(chunks.shape, generator=random)
        bars = levels[times].view(-1, 1, 1)
        noisy = bars.sqrt() * chunks + (1 - bars).sqrt() * noise
        return functional.mse_loss(unet(noisy, times.float(), examples.conditions[rows]), noise)

    return loss


def regression_loss(examples: Examples, recipe: Recipe) -> Loss:
    """The mean squared error of the chunk, from pure noise at timestep 0: that of a sampler with one step of one."""

    def loss(unet: torch.nn.Module, _step: int, random: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(examples.chunks), (recipe.batch_size,), generator=random)
        chunks = examples.chunks[rows]
        noise = torch.randn(chunks.shape, generator=random)
        return functional.mse_loss(unet(noise, torch.zeros(recipe.batch_size), examples.conditions[rows]), chunks)

    return loss
