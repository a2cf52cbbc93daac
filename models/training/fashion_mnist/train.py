"""Trains the class-conditional UNet of the bundled model: v-prediction, cosine schedule, label dropout."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DModel

from ddim_edge.diffusion.schedule import alpha_bars

from .. import loop
from ..loop import Loss
from ..recipe import DIFFUSION, Recipe
from .data import NULL_CLASS, load

Batches = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
"""Images, float32 (B, 1, 28, 28) in [-1, 1], and labels, int64 (B,), of a step."""


def make_unet() -> UNet2DModel:
    """The network: three levels (28, 14, 7 pixels), self-attention in the middle, 1.4 M parameters."""
    return UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(24, 48, 96),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        norm_num_groups=8,
        attention_head_dim=32,
        num_class_embeds=NULL_CLASS + 1,
    )


def train(recipe: Recipe, data: Path, checkpoint: Path, device: torch.device, save_every: int = 500) -> UNet2DModel:
    """Train to the recipe's end, from ``checkpoint`` if it exists. Returns the network with averaged weights."""
    torch.manual_seed(recipe.seed)
    unet: Any = make_unet().to(device, memory_format=torch.channels_last)
    loss = unet_loss(shuffled_batches(recipe, data), recipe, device)
    trained: UNet2DModel = loop.train(unet, loss, recipe, checkpoint, save_every)
    return trained


def shuffled_batches(recipe: Recipe, folder: Path) -> Batches:
    """The training images in a new order each epoch. The order depends on seed and epoch alone."""
    pixels, labels = load("train", folder)
    images = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).unsqueeze(1)
    targets = torch.from_numpy(labels)
    steps_per_epoch = len(images) // recipe.batch_size

    @lru_cache(maxsize=1)
    def order_of(epoch: int) -> torch.Tensor:
        return torch.randperm(len(images), generator=torch.Generator().manual_seed(recipe.seed + epoch))

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, position = divmod(step, steps_per_epoch)
        rows = order_of(epoch)[position * recipe.batch_size : (position + 1) * recipe.batch_size]
        return images[rows], targets[rows]

    return batch


def unet_loss(batches: Batches, recipe: Recipe, device: torch.device) -> Loss:
    """Squared error of v for the batch of each step. Some labels are replaced by the null class."""
    table = torch.from_numpy(alpha_bars(DIFFUSION)).float().to(device)
    signals, noises = table.sqrt(), (1 - table).sqrt()

    def loss(unet: torch.nn.Module, step: int, random: torch.Generator) -> torch.Tensor:
        images, labels = batches(step)
        images, count = images.to(device), len(images)
        dropped = torch.rand(count, generator=random) < recipe.label_dropout
        labels = labels.masked_fill(dropped, NULL_CLASS).to(device)
        # Stratified timesteps: the same uniform distribution with less variance from batch to batch.
        uniform = (torch.arange(count) + torch.rand(count, generator=random)) / count
        timesteps = (uniform * len(table)).long().to(device)
        noise = torch.randn(images.shape, generator=random).to(device)
        signal, sigma = (column[timesteps].view(-1, 1, 1, 1) for column in (signals, noises))
        sample = (signal * images + sigma * noise).to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            prediction = unet(sample, timesteps, class_labels=labels, return_dict=False)[0]
        return torch.nn.functional.mse_loss(prediction.float(), signal * noise - sigma * images)

    return loss
