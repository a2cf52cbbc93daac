"""Trains the denoiser of the policy: the UNet of LeRobot's diffusion policy, small, which predicts the actions."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddim_edge.bundle.policy_statistics import Statistics
from ddim_edge.diffusion.samplers import DdimConfig
from ddim_edge.diffusion.schedule import alpha_bars
from ddim_edge_export.policy.lerobot_config import LerobotConfig
from ddim_edge_export.policy.unet1d import ConditionalUnet1d

from .. import loop
from ..loop import Loss
from ..recipe import Recipe
from .demonstrations import Demonstrations

NUM_TRAIN_STEPS = 100
DIFFUSION = DdimConfig(num_train_steps=NUM_TRAIN_STEPS, beta_schedule="squared_cosine", prediction_type="sample")


def train(
    config: LerobotConfig,
    shown: Demonstrations,
    statistics: dict[str, Statistics],
    recipe: Recipe,
    checkpoint: Path,
    *,
    regression: bool = False,
) -> ConditionalUnet1d:
    """Train to the recipe's end, from ``checkpoint`` if it exists. Returns the network with averaged weights.

    ``statistics``: of states, goals and chunks. With ``regression`` every sample is noise alone, so that the network
    learns the mean of the actions that follow an observation: the plain regression, for comparison.
    """
    torch.manual_seed(recipe.seed)
    normalized = (torch.from_numpy(statistics[name].normalized(values)) for name, values in shown._asdict().items())
    states, goals, chunks = normalized
    conditions = torch.cat([states, goals], dim=-1).flatten(1)
    loss = _loss(conditions, chunks, recipe, earliest=NUM_TRAIN_STEPS - 1 if regression else 0)
    trained: ConditionalUnet1d = loop.train(ConditionalUnet1d(config.unet), loss, recipe, checkpoint, save_every=200)
    return trained


def _loss(conditions: Tensor, chunks: Tensor, recipe: Recipe, earliest: int) -> Loss:
    """Squared error of the chunk, at timesteps from ``earliest`` on."""
    table = torch.from_numpy(alpha_bars(DIFFUSION).astype(np.float32))
    signals, noises = table.sqrt(), (1 - table).sqrt()

    def loss(unet: torch.nn.Module, _step: int, random: torch.Generator) -> Tensor:
        rows = torch.randint(len(chunks), (recipe.batch_size,), generator=random)
        timesteps = torch.randint(earliest, NUM_TRAIN_STEPS, (recipe.batch_size,), generator=random)
        clean = chunks[rows]
        noise = torch.randn(clean.shape, generator=random)
        signal, sigma = signals[timesteps].view(-1, 1, 1), noises[timesteps].view(-1, 1, 1)
        prediction = unet(signal * clean + sigma * noise, timesteps, conditions[rows])
        return torch.nn.functional.mse_loss(prediction, clean)

    return loss
