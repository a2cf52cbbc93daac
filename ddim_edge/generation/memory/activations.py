"""Activations: how much memory the networks' calls take, estimated from their config files.

Two things decide: feature maps, in proportion to the pixels, and the scores of the largest attention, which ONNX
Runtime keeps for all heads at once, in proportion to the pixels squared.

The numbers of maps were calibrated on Stable Diffusion 1.5's networks (float32, ONNX Runtime 1.32, x86-64 with AVX-512,
the optimized graphs that ``ddim-edge build`` writes, the shared arena), by the growth of the process's private memory
(RssAnon) during one call: 641 MB for the UNet with one row of 64x64 latents, 1188 MB with two; 256 MB for the decoder
with 256x256 pixels, 604 MB with 384x384, and 774 MB with 512x512, less than in proportion.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_FLOAT = 4
_UNET_MAPS = 24
"""Feature maps of the UNet's first level that are in memory at a time; the skip connections are among them."""
_CONTROL_MAPS = 16
"""Feature maps of the UNet's first level that have the size of a ControlNet's outputs."""
_VAE_MAPS = 4.1
"""Feature maps of the autoencoder at full resolution; its attention works on a small image at another time."""
_DEFAULT_LEVELS, _DEFAULT_HEADS, _VAE_LEVELS = (320, 640, 1280, 1280), 8, (128, 256, 512, 512)
"""Those of Stable Diffusion, for a config that does not say them."""


def unet_row(config: Mapping[str, Any], height: int, width: int) -> int:
    """The bytes of one row of a UNet's call, for a sample of ``height`` and ``width``."""
    maps = _levels(config)[0] * height * width * _FLOAT * _UNET_MAPS
    return int(maps + _FLOAT * max(_scores(config, height * width), default=0))


def residuals(config: Mapping[str, Any], height: int, width: int) -> int:
    """The bytes of what ControlNets add to one row of a UNet's call."""
    return _levels(config)[0] * height * width * _FLOAT * _CONTROL_MAPS


def variance(channels: int, height: int, width: int) -> int:
    """The bytes of one row's learned variance, for a sample of that shape: in the network's output and in a copy."""
    return 2 * _FLOAT * channels * height * width


def vae_pixel(config: Mapping[str, Any]) -> int:
    """The bytes of an autoencoder's call for each pixel: decoding, which takes more than encoding.

    The last block of its decoder works at full resolution on as many channels as the second level has.
    """
    channels = max((config.get("block_out_channels") or _VAE_LEVELS)[:2])
    return int(channels * _FLOAT * _VAE_MAPS)


def _levels(config: Mapping[str, Any]) -> Sequence[int]:
    return config.get("block_out_channels") or _DEFAULT_LEVELS


def _scores(config: Mapping[str, Any], pixels: int) -> list[int]:
    """How many scores the self-attention of each level has that has one: heads times pixels squared."""
    levels, blocks = _levels(config), config.get("down_block_types") or ()
    with_attention = [("Attn" in str(blocks[level]) if level < len(blocks) else True) for level in range(len(levels))]
    return [
        _heads(config, level) * (pixels // 4**level) ** 2 for level, attends in enumerate(with_attention) if attends
    ]


def _heads(config: Mapping[str, Any], level: int) -> int:
    """The number of heads. Networks with text call it attention_head_dim in diffusers' files; others mean its width."""
    given = config.get("num_attention_heads") or config.get("attention_head_dim")
    each = given[min(level, len(given) - 1)] if isinstance(given, list) and given else given
    if config.get("cross_attention_dim") is not None or "block_out_channels" not in config:
        return int(each or _DEFAULT_HEADS)
    return max(1, _levels(config)[level] // int(each)) if each else 1
