"""IP-Adapters of random weights, with the names and shapes of those that are published, and their image encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from .tiny_networks import Transformers

HIDDEN, PROJECTED, SIDE = 16, 12, 8
_QUERIES, _INNER, _LAYERS = 3, 64, 4  # diffusers takes 64 numbers a head, and four layers


def image_encoder(folder: Path) -> None:
    """CLIP's image encoder of two layers: 4 patches and the class token."""
    torch.manual_seed(7)
    config = Transformers.CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=24,
        projection_dim=PROJECTED,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=4,
        initializer_factor=4.0,
    )
    Transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder)


def write_adapters(folder: Path, unet: Any, kinds: Sequence[str]) -> None:
    """A file for each kind, ip_adapters/KIND.safetensors, and the encoder beside them, as they are published."""
    image_encoder(folder / "ip_adapters" / "image_encoder")
    for seed, kind in enumerate(kinds):
        write_adapter(folder / "ip_adapters" / f"{kind}.safetensors", unet, kind, seed)


def write_adapter(path: Path, unet: Any, kind: str, seed: int) -> Path:
    """An adapter for a UNet of diffusers: basic, plus or full."""
    torch.manual_seed(seed)
    width = unet.config.cross_attention_dim
    projection = {"basic": _basic, "plus": _plus, "full": _full}[kind](width)
    weights = {f"image_proj.{name}": value for name, value in projection.items()} | _attentions(unet)
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    return path


def _attentions(unet: Any) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = {}
    for index, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            layer = unet.get_submodule(name.removesuffix(".processor")).to_k.weight
            weights |= {f"ip_adapter.{index}.to_{part}_ip.weight": torch.randn(layer.shape) for part in "kv"}
    return weights


def _basic(width: int) -> dict[str, torch.Tensor]:
    return {**_linear("proj", PROJECTED, 4 * width), **_norm("norm", width)}


def _full(width: int) -> dict[str, torch.Tensor]:
    return {**_linear("proj.0", HIDDEN, HIDDEN), **_linear("proj.2", HIDDEN, width), **_norm("proj.3", width)}


def _plus(width: int) -> dict[str, torch.Tensor]:
    weights = {"latents": torch.randn(1, _QUERIES, HIDDEN)}
    weights |= _linear("proj_in", HIDDEN, HIDDEN) | _linear("proj_out", HIDDEN, width) | _norm("norm_out", width)
    for layer in (f"layers.{index}" for index in range(_LAYERS)):
        weights |= _norm(f"{layer}.0.norm1", HIDDEN) | _norm(f"{layer}.0.norm2", HIDDEN) | _norm(f"{layer}.1.0", HIDDEN)
        shapes = {
            "0.to_q": (_INNER, HIDDEN),
            "0.to_kv": (2 * _INNER, HIDDEN),
            "0.to_out": (HIDDEN, _INNER),
            "1.1": (4 * HIDDEN, HIDDEN),
            "1.3": (HIDDEN, 4 * HIDDEN),
        }
        weights |= {f"{layer}.{name}.weight": torch.randn(shape) / 4 for name, shape in shapes.items()}
    return weights


def _linear(name: str, inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": torch.randn(outputs, inputs) / 4, f"{name}.bias": torch.randn(outputs) / 4}


def _norm(name: str, width: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": 1 + torch.randn(width) / 4, f"{name}.bias": torch.randn(width) / 4}
