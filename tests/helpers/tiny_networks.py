"""Tiny networks of random weights, at the architectures that diffusers' own tests build."""

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from . import faster_export  # noqa: F401

Diffusers: Any = diffusers  # half of it is not annotated
Transformers: Any = transformers

_TOKENS = 64
_TEXT: dict[str, Any] = {
    "vocab_size": _TOKENS,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
UNET: dict[str, Any] = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 16,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
}


def unet(**changes: Any) -> Any:
    """A conditional UNet of two levels."""
    torch.manual_seed(0)
    return Diffusers.UNet2DConditionModel(**UNET | changes)


def t5_tokenizer() -> Any:
    """A tokenizer of T5 that knows single letters, a few pairs of them, and their beginnings of words."""
    letters = [chr(ord("a") + index) for index in range(26)]
    special = [(word, 0.0) for word in ("<pad>", "</s>", "<unk>")]
    words = [("▁", -2.0), ("▁a", -1.5), ("ar", -2.5), *((letter, -3.0) for letter in letters)]
    return Transformers.T5Tokenizer(vocab=special + words, extra_ids=0, model_max_length=77)


def vae(**changes: Any) -> Any:
    """A variational autoencoder that halves the image."""
    torch.manual_seed(1)
    options: dict[str, Any] = {
        "block_out_channels": (4, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 4,
        "norm_num_groups": 2,
        "sample_size": 32,
    }
    return Diffusers.AutoencoderKL(**options | changes)


def text_encoder(kind: str = "CLIPTextModel", **changes: Any) -> Any:
    """A CLIP text encoder of two layers."""
    torch.manual_seed(2)
    return getattr(Transformers, kind)(Transformers.CLIPTextConfig(**_TEXT | changes))


def tokenizer() -> Any:
    """A tokenizer that knows single letters."""
    letters = [chr(ord("a") + index) for index in range(26)]
    words = ["<|startoftext|>", "<pad>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return Transformers.CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=77
    )


def safety_checker() -> Any:
    """Stable Diffusion's safety checker with thresholds that about half of all random images pass."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    torch.manual_seed(3)
    vision = {**_TEXT, "image_size": 8, "patch_size": 4, "projection_dim": 8}
    config = Transformers.CLIPConfig(text_config=_TEXT, vision_config=vision, projection_dim=8)
    checker: Any = StableDiffusionSafetyChecker(config)
    torch.nn.init.normal_(checker.concept_embeds)
    torch.nn.init.normal_(checker.special_care_embeds)
    torch.nn.init.constant_(checker.concept_embeds_weights, 0.34)
    torch.nn.init.constant_(checker.special_care_embeds_weights, 0.4)
    return checker


def controlnet(denoiser: Any, seed: int) -> Any:
    """A ControlNet whose last layers, which are made as zeros, are random, too."""
    torch.manual_seed(seed)
    network = Diffusers.ControlNetModel.from_unet(denoiser, conditioning_embedding_out_channels=(4, 8))
    last = network.controlnet_cond_embedding.conv_out
    for part in (network.controlnet_down_blocks, network.controlnet_mid_block, last):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def tiny_autoencoder(folder: Path) -> None:
    """TAESD's architecture, by itself: what ``vae`` may be replaced with."""
    torch.manual_seed(6)
    network = Diffusers.AutoencoderTiny(
        encoder_block_out_channels=(4, 4),
        decoder_block_out_channels=(4, 4),
        num_encoder_blocks=(1, 2),
        num_decoder_blocks=(2, 1),
    )
    network.save_pretrained(folder)


def change(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
