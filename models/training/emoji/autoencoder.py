"""The autoencoder. Its latents are fixed before the training: principal components of the pictures' 8x8 patches.

The encoder learns to compute the components, the decoder to draw the picture from the components of all patches. The
latents do not depend on the training, so the denoiser can be trained without waiting for it.
"""

from typing import Any

import torch
from diffusers import AutoencoderKL

from ..loop import Loss
from ..recipe import Recipe

FACTOR, CHANNELS = 8, 24
RECIPE = Recipe(steps=3_700, learning_rate=2e-3, batch_size=32, warmup_steps=100, ema_decay=0.998)
_LOG_VARIANCE = -12.0
"""The target of the encoder's log-variance: almost deterministic."""


def make_autoencoder() -> AutoencoderKL:
    """Four levels (32, 16, 8, 4 pixels), no attention, 0.9 M parameters."""
    widths = (16, 32, 48, 64)
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=32,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )


def principal_latents(images: torch.Tensor) -> torch.Tensor:
    """Latents, float32 (N, 24, H/8, W/8) of variance 1 over all, of images (N, 3, H, W).

    The components' standard deviations differ by a factor of ten. Each component is divided by the square root of its
    standard deviation. Unscaled, the denoiser would hardly learn the last components; with equal deviations, it would
    learn little else.
    """
    patches = torch.nn.functional.pixel_unshuffle(images, FACTOR)
    rows = patches.permute(0, 2, 3, 1).reshape(-1, patches.shape[1]).double()
    rows = rows - rows.mean(0)
    variances, axes = torch.linalg.eigh(rows.T @ rows / len(rows))
    variances, axes = variances[-CHANNELS:].flip(0), axes[:, -CHANNELS:].flip(1)
    components = rows @ axes / variances.clamp(min=1e-12) ** 0.25
    components = components / components.square().mean().sqrt()
    shape = (len(images), *patches.shape[2:], CHANNELS)
    latents: torch.Tensor = components.reshape(shape).permute(0, 3, 1, 2).float().contiguous()
    return latents


def autoencoder_loss(images: torch.Tensor, latents: torch.Tensor, batch: int = RECIPE.batch_size) -> Loss:
    """Squared error of the encoder's mean, and squared and absolute error of the decoder's picture."""

    def loss(autoencoder: Any, _step: int, random: torch.Generator) -> torch.Tensor:
        rows = torch.randperm(len(images), generator=random)[:batch]
        picture, latent = images[rows], latents[rows]
        mean, log_variance = autoencoder.encode(picture).latent_dist.parameters.chunk(2, dim=1)
        # Noise, because the latents of a denoiser are not exact.
        drawn = autoencoder.decode(latent + 0.05 * torch.randn(latent.shape, generator=random)).sample
        encoding = (mean - latent).square().mean() + 0.01 * (log_variance - _LOG_VARIANCE).square().mean()
        drawing = (drawn - picture).square().mean() + 0.2 * (drawn - picture).abs().mean()
        whole: torch.Tensor = drawing + 0.1 * encoding
        return whole

    return loss
