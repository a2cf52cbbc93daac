"""Tiny pipelines of random weights whose denoiser is a transformer, a folder a family."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from .family_parts import POOLED, second_text
from .tiny_networks import Diffusers, Transformers, change, t5_tokenizer, text_encoder, tokenizer, vae

_FEW_LATENTS: dict[str, Any] = {
    "block_out_channels": (4,),
    "down_block_types": ("DownEncoderBlock2D",),
    "up_block_types": ("UpDecoderBlock2D",),
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


def dit(folder: Path) -> None:
    """DiT: a transformer of classes, whose learned variance is left out, with an autoencoder."""
    scheduler = Diffusers.DDIMScheduler(clip_sample=False, beta_schedule="linear", set_alpha_to_one=False)
    names = {number: f"class {number}" for number in range(1000)} | {1: "goldfish, Carassius auratus"}
    parts = {"transformer": class_transformer(), "vae": vae(), "scheduler": scheduler}
    Diffusers.DiTPipeline(**parts).save_pretrained(folder)
    change(folder / "model_index.json", id2label=names)  # which only the published folder has


def stable_diffusion_3(folder: Path) -> None:
    """Stable Diffusion 3: a transformer of text, flow matching, latents of 16 channels with a shift, T5."""
    encoder = text_encoder("CLIPTextModelWithProjection", hidden_act="gelu", projection_dim=POOLED)
    autoencoder = vae(**_FEW_LATENTS, latent_channels=16, scaling_factor=1.5305, shift_factor=0.0609)
    parts = {
        "transformer": text_transformer(joint_attention_dim=40, pooled_projection_dim=2 * POOLED),
        "vae": autoencoder,
        "scheduler": Diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        "text_encoder": encoder,
        "tokenizer": tokenizer(),
        **second_text(),
        "text_encoder_3": t5_encoder(width=40),
        "tokenizer_3": t5_tokenizer(),
    }
    Diffusers.StableDiffusion3Pipeline(**parts).save_pretrained(folder)


def pixart(folder: Path) -> None:
    """PixArt: a transformer that reads T5 with a mask, and the size of the image, as that of 1024 pixels does."""
    parts = {
        "transformer": masked_transformer(use_additional_conditions=True),
        "vae": vae(),
        "scheduler": Diffusers.DPMSolverMultistepScheduler(),
        "text_encoder": t5_encoder(width=24),
        "tokenizer": t5_tokenizer(),
    }
    Diffusers.PixArtAlphaPipeline(**parts).save_pretrained(folder)


def class_transformer() -> Any:
    """DiT of one layer. Its last layers, which are made as zeros where it is trained, are random here."""
    torch.manual_seed(0)
    return Diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        out_channels=8,
        num_layers=1,
        sample_size=8,
        num_embeds_ada_norm=1000,
        attention_bias=True,
    )


def text_transformer(**changes: Any) -> Any:
    """Stable Diffusion 3's transformer of two layers, of which the last reads no text on."""
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "sample_size": 16,
        "num_layers": 2,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "caption_projection_dim": 16,
        "pos_embed_max_size": 12,
    }
    return Diffusers.SD3Transformer2DModel(**options | changes)


def masked_transformer(**changes: Any) -> Any:
    """PixArt of one layer."""
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "sample_size": 8,
        "num_layers": 1,
        "attention_head_dim": 8,
        "num_attention_heads": 3,  # a third of the width is for each number of the size
        "cross_attention_dim": 24,
        "caption_channels": 24,
    }
    return Diffusers.PixArtTransformer2DModel(**options | changes)


def t5_encoder(width: int) -> Any:
    """T5's encoder of one layer."""
    torch.manual_seed(7)
    config = Transformers.T5Config(
        vocab_size=64, d_model=width, d_kv=8, d_ff=24, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu"
    )
    return Transformers.T5EncoderModel(config)


TRANSFORMERS: Mapping[str, Callable[[Path], None]] = {"dit": dit, "sd3": stable_diffusion_3, "pixart": pixart}
