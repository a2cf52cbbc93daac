"""Transformers as denoisers, DiT, Stable Diffusion 3 and PixArt: signatures, read from config.json, and calls."""

import functools
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import torch

from ddim_edge.bundle.layout import CLASS_INPUT, POOLED_TEXT, SIZE_INPUTS, TEXT_MASK

from ..config_keys import Config, count, null_class, one_of
from .denoiser import timestep_input
from .signature import Input, Signature, Sizes, distinct_integers, image_axes, scaled_normal
from .t5_encoder import padded

_SEQUENCES = (90, 154)
_MOST_PATCHES = 16
"""Along a side, for the comparison with PyTorch, whose attention takes the square of their number."""


def class_signature(config: Config) -> Signature:
    """A DiTTransformer2DModel: sample of one size, timestep, class_labels, of which the last is no class."""
    one_of(config, "norm_type", (None, "ada_norm_zero"))
    sample, out = _square(config, default=32)
    labels = Input(name=CLASS_INPUT, axes=("batch",), draw=distinct_integers(0, null_class(config) + 1))
    return Signature(inputs=(sample, timestep_input(config)[0], labels), outputs={"out_sample": out}, sizes=({},))


def _square(config: Config, default: int) -> tuple[Input, tuple[int | str | None, ...]]:
    """The sample of the network's own size, and the axes of its prediction, which may have a variance behind it."""
    side = count(config, "sample_size", default=default)
    axes = image_axes(count(config, "in_channels", default=4), height=side, width=side)
    return Input(name="sample", axes=axes), ("batch", None, side, side)


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


def masked_text_signature(config: Config, tokens: int) -> Signature:
    """A PixArtTransformer2DModel: sample of one size, timestep, T5's hidden states and which of them are padding.

    The largest models also take height, width and aspect ratio of the image.
    """
    sample, out = _square(config, default=128)
    width = count(config, "caption_channels")
    inputs = [
        sample,
        timestep_input(config)[0],
        Input(name="encoder_hidden_states", axes=("batch", tokens, width)),
        Input(name=TEXT_MASK, axes=("batch", tokens), draw=padded),
    ]
    if takes_sizes(config):
        resolution, ratio = SIZE_INPUTS
        inputs += [
            Input(name=resolution, axes=("batch", 2), draw=scaled_normal(500)),
            Input(name=ratio, axes=("batch", 1)),
        ]
    return Signature(inputs=tuple(inputs), outputs={"out_sample": out}, sizes=({},))


def takes_sizes(config: Config) -> bool:
    """Whether a PixArt takes the size of the image, by diffusers' rule where its config does not say it."""
    said = config.get("use_additional_conditions")
    return count(config, "sample_size", default=128) == 128 if said is None else bool(said)


def _sizes(config: Config) -> tuple[Sizes, ...]:
    """Two sizes of the sample, one of them not square, in whole patches."""
    step = count(config, "patch_size", default=2)
    patches = min(_MOST_PATCHES, count(config, "sample_size") // step, count(config, "pos_embed_max_size"))
    sides = (patches, patches), (patches // 2 | 1, patches)  # an odd number, too
    return tuple(
        {"height": step * height, "width": step * width, "sequence": length}
        for (height, width), length in zip(sides, _SEQUENCES, strict=True)
    )


def call_transformer(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call a transformer, whose sample diffusers names hidden_states. Returns the prediction."""
    arguments: dict[str, Any] = {**inputs}
    return (module(arguments.pop("sample"), **arguments, return_dict=False)[0],)


def call_text_transformer(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call Stable Diffusion 3's transformer. Returns the prediction."""
    positions: Any = module.pos_embed
    with patch.object(positions, "cropped_pos_embed", functools.partial(_middle, positions)):
        return call_transformer(module, inputs)


def _middle(positions: Any, height: int, width: int) -> torch.Tensor:
    """The same part of the table of positions that diffusers cuts out of its middle: (1, patches, width).

    Its (table - side)//2 becomes a division of negative numbers, which ONNX rounds up, not down, where a side has an
    odd number of patches.
    """
    table, patch_size = positions.pos_embed_max_size, positions.patch_size
    rows, columns = height // patch_size, width // patch_size
    top, left = (table // 2 - (side + 1 - table % 2) // 2 for side in (rows, columns))
    square = positions.pos_embed.reshape(1, table, table, -1)
    middle: torch.Tensor = square[:, top : top + rows, left : left + columns].reshape(1, rows * columns, -1)
    return middle


def call_masked_transformer(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor]:
    """Call a PixArt. Returns the prediction."""
    arguments: dict[str, Any] = {**inputs}
    sample = arguments.pop("sample")
    for value in arguments.values():
        torch._check(value.shape[0] == sample.shape[0])
    sizes = {name: arguments.pop(name, None) for name in SIZE_INPUTS}
    arguments[TEXT_MASK] = _bias(module, arguments[TEXT_MASK], sample.dtype)
    # Behind its last layer it squeezes the axis of patches, which PyTorch leaves as it is, because they are several.
    # ONNX's Squeeze fails there: it gets another axis, of 1.
    last: Any = module.proj_out
    hook = last.register_forward_hook(lambda _layer, _inputs, output: output.unsqueeze(1))
    try:
        return (module(sample, **arguments, added_cond_kwargs=sizes, return_dict=False)[0],)
    finally:
        hook.remove()


def _bias(module: Any, mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What diffusers makes of a mask, a bias of attention, for each patch: ONNX Runtime takes no one bias for all."""
    patches = module.pos_embed.height * module.pos_embed.width
    return ((1 - mask.to(dtype)) * -10000.0)[:, None].expand(-1, patches, -1)
