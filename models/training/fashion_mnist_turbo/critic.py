"""The critic: tells generated images from real ones of the same class, by frozen features (Sauer et al. 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fashion_mnist.data import NAMES
from .features import WIDTHS

HIDDEN = 64


class Critic(nn.Module):
    """One head a feature map: two 1x1 convolutions, the second one chosen by the class."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(width, HIDDEN, 1) for width in WIDTHS)
        self.outer = nn.ModuleList(_zeros() for _ in WIDTHS)
        self.shared = nn.ModuleList(nn.Conv2d(HIDDEN, 1, 1) for _ in WIDTHS)

    def forward(self, maps: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Maps (B, C, H, W) of images and their labels (B,) -> scores (B, positions), above 0 for real ones."""
        scores = []
        for inner, outer, shared, features in zip(self.inner, self.outer, self.shared, maps, strict=True):
            hidden = nn.functional.leaky_relu(inner(features), 0.2)
            scores.append((shared(hidden) + (hidden * outer(labels)[:, :, None, None]).sum(1, keepdim=True)).flatten(1))
        return torch.cat([score.float() for score in scores], dim=1)


def _zeros() -> nn.Embedding:
    """A row a class, all zeros: at first the class changes no score."""
    table = nn.Embedding(len(NAMES), HIDDEN)
    nn.init.zeros_(table.weight)
    return table


def hinge(real: Tensor, generated: Tensor) -> Tensor:
    """The critic's loss (Lim and Ye 2017): scores of real images above 1, of generated ones below -1."""
    return nn.functional.relu(1 - real).mean() + nn.functional.relu(1 + generated).mean()
