"""Tiny pipelines of random weights that only the run-time tests need."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from .pipelines import (
    FAMILIES,
    Diffusers,
    controlnet,
    safety_checker,
    stable_diffusion,
    text_encoder,
    tokenizer,
    unet,
    vae,
)

_SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
_ONE_LEVEL: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
    "attention_head_dim": 2,
}
"""Text is read in the middle alone: the fewer layers, the sooner it is traced."""


def unconditional(folder: Path) -> None:
    """A UNet2DModel without classes, with an autoencoder behind it."""
    torch.manual_seed(0)
    network = Diffusers.UNet2DModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
    )
    parts = {"vqvae": vae(), "unet": network, "scheduler": Diffusers.DDIMScheduler(**_SCHEDULER)}
    Diffusers.LDMPipeline(**parts).save_pretrained(folder)


def inpainting(folder: Path) -> None:
    """A UNet that takes the mask and the masked image beside the sample."""
    parts = {
        "unet": unet(in_channels=9),
        "vae": vae(),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
        "scheduler": Diffusers.DDIMScheduler(**_SCHEDULER),
    }
    unused = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    Diffusers.StableDiffusionInpaintPipeline(**parts, **unused).save_pretrained(folder)


def controlled(folder: Path) -> None:
    """Stable Diffusion 1 with two ControlNets, of one level."""
    denoiser = unet(**_ONE_LEVEL)
    parts = {
        "unet": denoiser,
        "controlnet": [controlnet(denoiser, seed) for seed in (4, 5)],
        "vae": vae(),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
        "scheduler": Diffusers.DDIMScheduler(**_SCHEDULER),
    }
    unused = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    Diffusers.StableDiffusionControlNetPipeline(**parts, **unused).save_pretrained(folder)


def sdxl_controlled(folder: Path) -> None:
    """SDXL with a ControlNet, of one level."""
    denoiser = unet(
        **_ONE_LEVEL,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
        cross_attention_dim=32,
    )
    parts = {
        "unet": denoiser,
        "controlnet": controlnet(denoiser, 4),
        "vae": vae(force_upcast=True),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
        "text_encoder_2": text_encoder("CLIPTextModelWithProjection", hidden_act="gelu", projection_dim=16),
        "tokenizer_2": tokenizer(),
        "scheduler": Diffusers.DDIMScheduler(**_SCHEDULER),
    }
    Diffusers.StableDiffusionXLControlNetPipeline(**parts).save_pretrained(folder)


def checked(folder: Path) -> None:
    """Stable Diffusion 1, whose safety checker has thresholds that about half of what it makes passes."""
    stable_diffusion(folder)
    checker = safety_checker()
    torch.nn.init.constant_(checker.concept_embeds_weights, 0.403)
    torch.nn.init.constant_(checker.special_care_embeds_weights, 0.45)
    checker.save_pretrained(folder / "safety_checker")


ALL: Mapping[str, Callable[[Path], None]] = {
    **FAMILIES,
    "unconditional": unconditional,
    "inpainting": inpainting,
    "controlled": controlled,
    "sdxl-controlled": sdxl_controlled,
    "checked": checked,
}
