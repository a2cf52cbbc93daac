"""Estimates of activations against what was measured; the configs are those of diffusers."""

from typing import Any

import pytest

from ddim_edge.generation.memory.activations import unet_row, vae_pixel

MB = 10**6
CROSS = "CrossAttnDownBlock2D"
STABLE_DIFFUSION = {
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": [CROSS, CROSS, CROSS, "DownBlock2D"],
    "attention_head_dim": 8,
    "cross_attention_dim": 768,
}
SDXL = {
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", CROSS, CROSS],
    "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048,
}


@pytest.mark.parametrize(("side", "rows", "measured"), [(64, 1, 641), (64, 2, 1188)])
def test_a_unet_takes_a_little_less_than_estimated(side: int, rows: int, measured: int) -> None:
    assert measured <= rows * unet_row(STABLE_DIFFUSION, side, side) / MB <= 1.15 * measured


def test_a_decoder_takes_a_little_less_than_estimated() -> None:
    pixels = 384 * 384
    assert 604 <= pixels * vae_pixel({"block_out_channels": [128, 256, 512, 512]}) / MB <= 1.15 * 604


def test_the_attention_of_the_largest_level_that_has_one_counts() -> None:
    maps = 320 * 128 * 128 * 4 * 24
    assert unet_row(SDXL, 128, 128) == maps + 10 * 4096**2 * 4


@pytest.mark.parametrize(
    ("changed", "heads"),
    [
        ({}, 8),
        ({"num_attention_heads": 5}, 5),
        ({"attention_head_dim": [3, 6, 12, 12]}, 3),
        ({"attention_head_dim": None}, 8),
        ({"cross_attention_dim": None}, 320 // 8),
        ({"cross_attention_dim": None, "attention_head_dim": None}, 1),
    ],
)
def test_heads(changed: dict[str, Any], heads: int) -> None:
    maps = 320 * 32 * 32 * 4 * 24
    assert unet_row({**STABLE_DIFFUSION, **changed}, 32, 32) == maps + heads * 1024**2 * 4


def test_a_config_that_says_nothing_counts_as_stable_diffusions() -> None:
    assert unet_row({}, 64, 64) == unet_row(STABLE_DIFFUSION, 64, 64)
    assert vae_pixel({}) == vae_pixel({"block_out_channels": [128, 256, 512, 512]})
