"""What an autoencoder's config.json is read as."""

from typing import Any

import pytest

from ddim_edge.bundle.vae_config import VaeConfig

KL: dict[str, Any] = {"block_out_channels": [4, 8, 8, 8], "latent_channels": 4, "scaling_factor": 0.13025}


def test_a_variational_autoencoder() -> None:
    assert VaeConfig.from_json(KL) == VaeConfig(8, 4, 3, (0.13025,), (0.0,))
    assert VaeConfig.from_json(KL | {"shift_factor": 0.1, "out_channels": 1}) == VaeConfig(8, 4, 1, (0.13025,), (0.1,))


def test_each_channel_by_itself() -> None:
    """Diffusers decodes latents·std/scaling_factor + mean."""
    config = VaeConfig.from_json(
        KL | {"latent_channels": 2, "scaling_factor": 0.5, "latents_mean": [1, -1], "latents_std": [2.0, 4.0]}
    )
    assert (config.scale, config.shift) == ((0.25, 0.125), (1.0, -1.0))


def test_a_tiny_autoencoder_and_a_vq_model() -> None:
    tiny = {"num_decoder_blocks": [3, 3, 3, 1], "block_out_channels": [64], "latent_channels": 4}
    assert VaeConfig.from_json(tiny) == VaeConfig(8, 4, 3, (1.0,), (0.0,))
    vq = {"block_out_channels": [4, 8, 8], "latent_channels": 5, "vq_embed_dim": 3}
    assert VaeConfig.from_json(vq) == VaeConfig(4, 3, 3, (0.18215,), (0.0,))


def test_a_scale_that_is_none() -> None:
    with pytest.raises(ValueError, match="scaling_factor must be above 0"):
        VaeConfig.from_json(KL | {"scaling_factor": 0})
