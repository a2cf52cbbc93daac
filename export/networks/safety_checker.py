"""The safety checker of Stable Diffusion. Inputs and outputs have the names of diffusers' former ONNX pipelines."""

from collections.abc import Mapping
from typing import Any

import torch

from ..config_keys import Config, count
from .signature import Input, Signature, image_axes

_SIDE = 16


def safety_checker_signature(config: Config) -> Signature:
    """Takes CLIP's pixels and finished images (B, H, W, C). Returns them, unsafe ones black, and which are unsafe."""
    side = count(config.get("vision_config") or {}, "image_size", default=224)
    pictures = ("batch", "height", "width", 3)
    return Signature(
        inputs=(
            Input(name="clip_input", axes=image_axes(3, height=side, width=side)),
            Input(name="images", axes=pictures),
        ),
        outputs={"out_images": pictures, "has_nsfw_concepts": ("batch",)},
        sizes=({"height": _SIDE, "width": 2 * _SIDE},),
    )


def call_safety_checker(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The same as its ``forward_onnx``, which writes to its argument and therefore cannot be traced."""
    checker: Any = module
    embedding = torch.nn.functional.normalize(checker.visual_projection(checker.vision_model(inputs["clip_input"])[1]))
    special = _cosines(embedding, checker.special_care_embeds) - checker.special_care_embeds_weights
    adjustment = (special > 0).any(dim=1, keepdim=True) * 0.01
    scores = _cosines(embedding, checker.concept_embeds) - checker.concept_embeds_weights + adjustment
    unsafe = (scores > 0).any(dim=1)
    return torch.where(unsafe[:, None, None, None], 0.0, inputs["images"]), unsafe


def _cosines(embedding: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    return embedding @ torch.nn.functional.normalize(concepts).T
