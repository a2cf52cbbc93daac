"""Pipelines as single-file checkpoints: the weights under the names of Stability's own code.

Diffusers translates these names to its own; this is the way back, for networks of two levels with one layer each.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.helpers.tiny_networks import Diffusers

Weights = dict[str, torch.Tensor]

_UNET = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "down_blocks.1.attentions.0": "input_blocks.3.1",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0": "output_blocks.1.2",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
}
_UNET_LAYERS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE = {"conv_norm_out": "norm_out", "mid_block.attentions.0": "mid.attn_1"} | {
    f"mid_block.resnets.{index}": f"mid.block_{index + 1}" for index in range(2)
}
for _level in range(2):
    _VAE |= {f"down_blocks.{_level}.resnets.{index}": f"down.{_level}.block.{index}" for index in range(2)}
    _VAE |= {f"up_blocks.{_level}.resnets.{index}": f"up.{1 - _level}.block.{index}" for index in range(2)}
    _VAE[f"down_blocks.{_level}.downsamplers.0"] = f"down.{_level}.downsample"
    _VAE[f"up_blocks.{_level}.upsamplers.0"] = f"up.{1 - _level}.upsample"
_VAE_LAYERS = {"conv_shortcut": "nin_shortcut"}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "final_layer_norm": "ln_final",
    "encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn": "attn",
}


def save_checkpoint(folder: Path, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write the pipeline in ``folder``, Stable Diffusion 1 or SDXL, as one file."""
    pipeline: Any = Diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    is_sdxl = hasattr(pipeline, "text_encoder_2")
    first = "conditioner.embedders.0.transformer." if is_sdxl else "cond_stage_model.transformer."
    weights = _prefixed("model.diffusion_model.", _of_unet(pipeline.unet.state_dict()))
    weights |= _prefixed("first_stage_model.", _of_vae(pipeline.vae.state_dict()))
    weights |= _prefixed(f"{first}text_model.", _bare(pipeline.text_encoder))
    if is_sdxl:
        weights |= _prefixed("conditioner.embedders.1.model.", _of_open_clip(_bare(pipeline.text_encoder_2)))
    weights["model_ema.decay"] = torch.tensor(0.999)
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, path, metadata)


def _of_unet(weights: Mapping[str, torch.Tensor]) -> Weights:
    return {
        _renamed(name, _UNET, _UNET_LAYERS if ".resnets." in name else {}): value for name, value in weights.items()
    }


def _of_vae(weights: Mapping[str, torch.Tensor]) -> Weights:
    translated = Weights()
    for name, value in weights.items():
        attention = "attentions" in name
        # Its attention is made of convolutions.
        kept = value[..., None, None] if attention and value.ndim == 2 else value
        half, dot, rest = name.partition(".")
        inner = _renamed(rest, _VAE, _VAE_ATTENTION if attention else _VAE_LAYERS)
        translated[name if name.startswith(("quant", "post_quant")) else half + dot + inner] = kept
    return translated


def _of_open_clip(weights: Mapping[str, torch.Tensor]) -> Weights:
    """Query, key and value are one matrix there."""
    translated = {
        _renamed(name, _OPEN_CLIP, _OPEN_CLIP): value for name, value in weights.items() if "_proj." not in name
    }
    for name in weights:
        if "q_proj" in name:
            parts = [weights[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
            translated[_renamed(name, _OPEN_CLIP, _OPEN_CLIP).replace("q_proj.", "in_proj_")] = torch.cat(parts)
        if "out_proj" in name:
            translated[_renamed(name, _OPEN_CLIP, _OPEN_CLIP)] = weights[name]
    if "text_projection.weight" in weights:
        translated["text_projection"] = weights["text_projection.weight"].T
        del translated["text_projection.weight"]
    return translated


def _bare(encoder: Any) -> Weights:
    return {name.removeprefix("text_model."): value for name, value in encoder.state_dict().items()}


def _renamed(name: str, places: Mapping[str, str], layers: Mapping[str, str]) -> str:
    for old, new in {**places, **layers}.items():
        if f".{old}." in f".{name}.":
            name = f".{name}.".replace(f".{old}.", f".{new}.").strip(".")
    return name


def _prefixed(prefix: str, weights: Weights) -> Weights:
    return {prefix + name: value for name, value in weights.items()}
