"""Transformers as denoisers, DiT and Stable Diffusion 3: their signatures, read from config.json, and their calls."""

from collections.abc import Mapping
from typing import Any

import torch

from ddim_edge.bundle.layout import CLASS_INPUT, POOLED_TEXT

from ..config_keys import Config, count, null_class, one_of
from .denoiser import timestep_input
from .signature import Input, Signature, Sizes, distinct_integers, image_axes

_SEQUENCES = (90, 154)
_MOST_PATCHES = 16
"""Along a side, for the comparison with PyTorch, whose attention takes the square of their number."""


def class_signature(config: Config) -> Signature:
    """A DiTTransformer2DModel: sample of one size, timestep, class_labels, of which the last is no class."""
    one_of(config, "norm_type", (None, "ada_norm_zero"))
    side = count(config, "sample_size", default=32)
    labels = Input(name=CLASS_INPUT, axes=("batch",), draw=distinct_integers(0, null_class(config) + 1))
    sample = Input(name="sample", axes=image_axes(count(config, "in_channels", default=4), height=side, width=side))
    return Signature(
        inputs=(sample, timestep_input(config)[0], labels),
        outputs={"out_sample": ("batch", None, side, side)},
        sizes=({},),
    )


def text_signature(config: Config) -> Signature:
    """A SD3Transformer2DModel: sample, timestep, the text's hidden states and pooled embeddings. Sizes are free."""
    channels = count(config, "in_channels", default=16)
    text = Input(name="encoder_hidden_states", axes=("batch", "sequence", count(config, "joint_attention_dim")))
    pooled = Input(name=POOLED_TEXT, axes=("batch", count(config, "pooled_projection_dim")))
    return Signature(
        inputs=(Input(name="sample", axes=image_axes(channels)), timestep_input(config)[0], text, pooled),
        outputs={"out_sample": image_axes(channels)},
        sizes=_sizes(config),
    )


def _sizes(config: Config) -> tuple[Sizes, ...]:
    """Two sizes of the sample, one of them not square, in whole patches."""
    patch = count(config, "patch_size", default=2)
    patches = min(_MOST_PATCHES, count(config, "sample_size") // patch, count(config, "pos_embed_max_size"))
    sides = (patches, patches), (max(patches // 2, 1), patches)
    return tuple(
        {"height": patch * height, "width": patch * width, "sequence": length}
        for (height, width), length in zip(sides, _SEQUENCES, strict=True)
    )


def call_transformer(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call a transformer, whose sample diffusers names hidden_states. Returns the prediction."""
    arguments: dict[str, Any] = {**inputs}
    return (module(arguments.pop("sample"), **arguments, return_dict=False)[0],)
