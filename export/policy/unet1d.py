"""ConditionalUnet1d: the denoiser of a diffusion policy (Chi et al. 2023, https://arxiv.org/abs/2303.04137).

A UNet of convolutions along time. Timestep and conditioning scale and shift the channels of every block (FiLM). The
names of its weights are those of LeRobot's DiffusionConditionalUnet1d.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Unet1dConfig:
    """The sizes of a UNet.

    Attributes:
        action_dim: the values of an action.
        cond_dim: the width of the conditioning.
        down_dims: the channels of each level; each level but the first halves the time.
        kernel_size, n_groups: of the convolutions, and of their group norms.
        step_embed_dim: the width of the timestep's embedding.
        scales: whether the conditioning scales channels, as well as shifting them.
    """

    action_dim: int
    cond_dim: int
    down_dims: tuple[int, ...]
    kernel_size: int
    n_groups: int
    step_embed_dim: int
    scales: bool


class _SinusoidalEmbedding(nn.Module):
    """Sines and cosines of the timestep, (B,) to (B, width), at frequencies from 1 down to 1/10000."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._half = width // 2

    def forward(self, timestep: Tensor) -> Tensor:
        rates = torch.exp(torch.arange(self._half, device=timestep.device) * -(math.log(10000) / (self._half - 1)))
        angles = timestep.unsqueeze(-1) * rates.unsqueeze(0)
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class _ConvBlock(nn.Module):
    """Convolution, group norm, Mish."""

    def __init__(self, channels: int, out_channels: int, kernel_size: int, n_groups: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv1d(channels, out_channels, kernel_size, padding=kernel_size // 2),
            nn.GroupNorm(n_groups, out_channels),
            nn.Mish(),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class _ResidualBlock(nn.Module):
    """Two convolutions, whose channels the conditioning (B, width) shifts in between, and the input added."""

    def __init__(self, channels: int, out_channels: int, config: Unet1dConfig) -> None:
        super().__init__()
        width, self._scales = config.step_embed_dim + config.cond_dim, config.scales
        self.conv1 = _ConvBlock(channels, out_channels, config.kernel_size, config.n_groups)
        self.cond_encoder = nn.Sequential(nn.Mish(), nn.Linear(width, out_channels * (2 if self._scales else 1)))
        self.conv2 = _ConvBlock(out_channels, out_channels, config.kernel_size, config.n_groups)
        same = channels == out_channels
        self.residual_conv = nn.Identity() if same else nn.Conv1d(channels, out_channels, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        told = self.cond_encoder(condition).unsqueeze(-1)
        out = self.conv1(x)
        if self._scales:
            scale, shift = told.chunk(2, dim=1)
            out = scale * out + shift
        else:
            out = out + told
        result: Tensor = self.conv2(out) + self.residual_conv(x)
        return result


class ConditionalUnet1d(nn.Module):
    """Predicts for chunks of actions."""

    def __init__(self, config: Unet1dConfig) -> None:
        super().__init__()
        width, dims = config.step_embed_dim, config.down_dims
        self.diffusion_step_encoder = nn.Sequential(
            _SinusoidalEmbedding(width), nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width)
        )
        levels = list(pairwise((config.action_dim, *dims)))
        self.down_modules = nn.ModuleList(
            _level(channels, out, config, nn.Identity() if index == len(levels) - 1 else nn.Conv1d(out, out, 3, 2, 1))
            for index, (channels, out) in enumerate(levels)
        )
        self.mid_modules = nn.ModuleList(_ResidualBlock(dims[-1], dims[-1], config) for _ in range(2))
        self.up_modules = nn.ModuleList(
            _level(2 * channels, out, config, nn.ConvTranspose1d(out, out, 4, 2, 1))
            for out, channels in reversed(levels[1:])
        )
        last = _ConvBlock(dims[0], dims[0], config.kernel_size, n_groups=8)
        self.final_conv = nn.Sequential(last, nn.Conv1d(dims[0], config.action_dim, 1))

    def forward(self, sample: Tensor, timestep: Tensor, global_cond: Tensor) -> Tensor:
        """The prediction, (B, horizon, action_dim) like ``sample``, at ``timestep`` (B,) and ``global_cond`` (B, D)."""
        condition = torch.cat((self.diffusion_step_encoder(timestep), global_cond), dim=-1)
        x, skipped = sample.transpose(1, 2), []
        for first, second, resample in self.down_modules:
            x = second(first(x, condition), condition)
            skipped.append(x)
            x = resample(x)
        for block in self.mid_modules:
            x = block(x, condition)
        for first, second, resample in self.up_modules:
            x = torch.cat((x, skipped.pop()), dim=1)
            x = resample(second(first(x, condition), condition))
        result: Tensor = self.final_conv(x).transpose(1, 2)
        return result


def _level(channels: int, out_channels: int, config: Unet1dConfig, resample: nn.Module) -> nn.ModuleList:
    first = _ResidualBlock(channels, out_channels, config)
    return nn.ModuleList([first, _ResidualBlock(out_channels, out_channels, config), resample])
