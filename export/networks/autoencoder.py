"""Autoencoders: AutoencoderKL, AutoencoderTiny and VQModel, as an encoder and a decoder.

Inputs and outputs have the names that optimum gives them. ``latent_parameters`` are mean and logarithm of the variance,
twice the channels. An encoder without a variance returns ``latent_sample``.
"""

from collections.abc import Mapping
from typing import Any

import torch

from ..config_keys import Config, count, widths
from .signature import Axes, Input, Signature, Sizes, image_axes, scaled_normal

_SIDES = ((8, 8), (8, 12))


def decoder_signature(config: Config) -> Signature:
    """The decoder: latents, already divided by the scaling factor, to pixels in [-1, 1]."""
    side = pixels_per_latent(config)
    # A sampler's latents have a standard deviation of about 1 before they are divided.
    latents = Input(
        name="latent_sample", axes=image_axes(_latent_channels(config)), draw=scaled_normal(1 / _scaling(config))
    )
    pixels = image_axes(count(config, "out_channels", default=3), height=f"height*{side}", width=f"width*{side}")
    return Signature(inputs=(latents,), outputs={"sample": pixels}, sizes=_sizes(1))


def encoder_signature(config: Config) -> Signature:
    """The encoder: pixels in [-1, 1] to latents, or to their mean and log-variance."""
    side = pixels_per_latent(config, "num_encoder_blocks")
    channels = _latent_channels(config)
    latents = image_axes(channels, height=f"height/{side}", width=f"width/{side}")
    parameters: Axes = ("batch", 2 * channels, *latents[2:])
    return Signature(
        inputs=(
            Input(name="sample", axes=image_axes(count(config, "in_channels", default=3)), draw=scaled_normal(0.5)),
        ),
        outputs={"latent_parameters": parameters} if _is_variational(config) else {"latent_sample": latents},
        sizes=_sizes(side),
    )


def call_decoder(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call the decoder. Returns the pixels."""
    autoencoder: Any = module
    return (autoencoder.decode(inputs["latent_sample"]).sample,)


def call_encoder(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call the encoder. Returns the latents, or their mean and log-variance."""
    autoencoder: Any = module
    encoded = autoencoder.encode(inputs["sample"])
    return (encoded.latent_dist.parameters if hasattr(encoded, "latent_dist") else encoded.latents,)


def pixels_per_latent(config: Config, blocks: str = "num_decoder_blocks") -> int:
    """Image pixels per latent along each side. AutoencoderTiny has one number of ``blocks`` per level instead."""
    return int(2 ** (len(widths(config, blocks if blocks in config else "block_out_channels")) - 1))


def _is_variational(config: Config) -> bool:
    return config.get("_class_name") == "AutoencoderKL"


def _latent_channels(config: Config) -> int:
    return count(config, "vq_embed_dim") if config.get("vq_embed_dim") else count(config, "latent_channels")


def _scaling(config: Config) -> float:
    return float(config.get("scaling_factor") or 1.0)


def _sizes(side: int) -> tuple[Sizes, ...]:
    return tuple({"height": side * height, "width": side * width} for height, width in _SIDES)
