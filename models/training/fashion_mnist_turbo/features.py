"""A small classifier of the training images. Distances between its features say more of an image than its pixels do.

It shares nothing with the classifier of ``bench.quality``, which judges the student: neither weights nor architecture.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import loop
from ..fashion_mnist.data import NAMES
from ..fashion_mnist.train import Batches
from ..recipe import Recipe

WIDTHS = (32, 64, 64, 128)
STRIDES = (1, 2, 1, 2)
RECIPE = Recipe(steps=800, batch_size=64, learning_rate=1.5e-3, warmup_steps=50, decay_fraction=0.5, ema_decay=0.99)


class Features(nn.Module):
    """Four convolutions: maps of 28, 14, 14 and 7 pixels."""

    def __init__(self) -> None:
        super().__init__()
        sizes = zip((1, *WIDTHS), WIDTHS, STRIDES, strict=False)
        self.blocks = nn.ModuleList(_block(*row) for row in sizes)
        self.head = nn.Linear(WIDTHS[-1], len(NAMES))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 1, 28, 28) in [-1, 1] -> maps (B, C, H, W)."""
        maps = [images]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps[1:]


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Without normalization: contrast and noise of an image stay visible in its maps."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.SiLU())


def train_features(batches: Batches, checkpoint: Path, recipe: Recipe) -> Features:
    """Train the classifier, from ``checkpoint`` if it exists. Returns it frozen."""
    torch.manual_seed(recipe.seed)

    def loss(network: Any, step: int, _random: torch.Generator) -> Tensor:
        images, labels = batches(step)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network.head(network(images.contiguous(memory_format=torch.channels_last))[-1].mean(dim=(2, 3)))
        return nn.functional.cross_entropy(logits.float(), labels, label_smoothing=0.05)

    network: Any = Features()
    network.to(memory_format=torch.channels_last)
    trained: Features = loop.train(network, loss, recipe, checkpoint)
    return trained.requires_grad_(False)
