"""Tiny pipelines of random weights, a folder a family, at the architectures that diffusers' own tests build."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from .family_parts import FEWEST, FEWEST_XL, POOLED, SCHEDULER, second_text, text_parts, unchecked
from .ip_adapters import write_adapters
from .picture_families import PICTURE_FAMILIES
from .tiny_networks import (
    UNET,
    Diffusers,
    Transformers,
    change,
    controlnet,
    safety_checker,
    text_encoder,
    unet,
    vae,
)
from .transformer_families import TRANSFORMERS

_XL: dict[str, Any] = {
    "attention_head_dim": (2, 4),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "transformer_layers_per_block": (1, 2),
    "cross_attention_dim": 32,
}
_ONE_LEVEL: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("CrossAttnDownBlock2D",),
    "up_block_types": ("CrossAttnUpBlock2D",),
    "attention_head_dim": 2,
    "transformer_layers_per_block": 1,
}


def stable_diffusion(folder: Path) -> None:
    """Stable Diffusion 1, with its safety checker."""
    parts = text_parts() | {
        "safety_checker": safety_checker(),
        "feature_extractor": Transformers.CLIPImageProcessor(size=8, crop_size=8),
        "requires_safety_checker": True,
    }
    Diffusers.StableDiffusionPipeline(**parts).save_pretrained(folder)


def stable_diffusion_2(folder: Path) -> None:
    """Stable Diffusion 2: velocity prediction, linear projections, a text encoder with another activation."""
    unet_2 = unet(**_ONE_LEVEL, use_linear_projection=True)
    scheduler = Diffusers.DDIMScheduler(**SCHEDULER, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    parts = text_parts(unet=unet_2, scheduler=scheduler, text_encoder=text_encoder(hidden_act="gelu"))
    Diffusers.StableDiffusionPipeline(**parts, **unchecked()).save_pretrained(folder)


def latent_consistency(folder: Path) -> None:
    """A latent consistency model: the guidance scale is embedded."""
    scheduler = Diffusers.LCMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False)
    parts = text_parts(unet=unet(**_ONE_LEVEL, time_cond_proj_dim=12), scheduler=scheduler)
    Diffusers.LatentConsistencyModelPipeline(**parts, **unchecked()).save_pretrained(folder)


def sdxl(folder: Path) -> None:
    """SDXL's base model: two text encoders, pooled text, six numbers of micro-conditioning."""
    network = unet(**_XL, projection_class_embeddings_input_dim=6 * 8 + POOLED)
    parts = text_parts(unet=network, vae=vae(force_upcast=True))
    Diffusers.StableDiffusionXLPipeline(**parts, **second_text()).save_pretrained(folder)


def sdxl_refiner(folder: Path) -> None:
    """SDXL's refiner: the second text encoder alone, five numbers of micro-conditioning."""
    changes = _XL | _ONE_LEVEL | {"cross_attention_dim": 16, "projection_class_embeddings_input_dim": 5 * 8 + POOLED}
    parts = text_parts(unet=unet(**changes)) | second_text() | {"requires_aesthetics_score": True}
    parts |= {"text_encoder": None, "tokenizer": None}
    Diffusers.StableDiffusionXLImg2ImgPipeline(**parts).save_pretrained(folder)


def two_controlnets(folder: Path) -> None:
    """Stable Diffusion 1 with two ControlNets, of two levels; text is read in the middle alone."""
    denoiser = unet(down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2)
    controls = [controlnet(denoiser, seed) for seed in (4, 5)]
    parts = text_parts(unet=denoiser)
    Diffusers.StableDiffusionControlNetPipeline(**parts, **unchecked(), controlnet=controls).save_pretrained(folder)


def latent_classes(folder: Path) -> None:
    """A class-conditional UNet2DModel with an autoencoder behind it."""
    torch.manual_seed(0)
    network = Diffusers.UNet2DModel(
        **{key: value for key, value in UNET.items() if key != "cross_attention_dim"}
        | {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "num_class_embeds": 3}
    )
    scheduler = Diffusers.DDIMScheduler(**SCHEDULER)
    Diffusers.LDMPipeline(vqvae=vae(), unet=network, scheduler=scheduler).save_pretrained(folder)
    change(folder / "model_index.json", id2label={"0": "coat", "1": "bag"}, null_class=2)


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
    parts = {"vqvae": vae(), "unet": network, "scheduler": Diffusers.DDIMScheduler(**SCHEDULER)}
    Diffusers.LDMPipeline(**parts).save_pretrained(folder)


def inpainting(folder: Path) -> None:
    """A UNet that takes the mask and the masked image beside the sample."""
    parts = text_parts(unet=unet(**FEWEST, in_channels=9))
    Diffusers.StableDiffusionInpaintPipeline(**parts, **unchecked()).save_pretrained(folder)


def controlled(folder: Path) -> None:
    """Stable Diffusion 1 with two ControlNets, of one level."""
    denoiser = unet(**FEWEST)
    controls = [controlnet(denoiser, seed) for seed in (4, 5)]
    parts = text_parts(unet=denoiser)
    Diffusers.StableDiffusionControlNetPipeline(**parts, **unchecked(), controlnet=controls).save_pretrained(folder)


def sdxl_controlled(folder: Path) -> None:
    """SDXL with a ControlNet, of one level."""
    denoiser = unet(**FEWEST_XL)
    parts = text_parts(unet=denoiser, vae=vae(force_upcast=True), controlnet=controlnet(denoiser, 4))
    Diffusers.StableDiffusionXLControlNetPipeline(**parts, **second_text()).save_pretrained(folder)


def checked(folder: Path) -> None:
    """Stable Diffusion 1, whose safety checker has thresholds that about half of what it makes passes."""
    stable_diffusion(folder)
    checker = safety_checker()
    torch.nn.init.constant_(checker.concept_embeds_weights, 0.403)
    torch.nn.init.constant_(checker.special_care_embeds_weights, 0.45)
    checker.save_pretrained(folder / "safety_checker")


def ip_adapters(folder: Path) -> None:
    """Stable Diffusion 1, of one level, with files of adapters of each kind and their image encoder beside it."""
    network = unet(**_ONE_LEVEL)
    Diffusers.StableDiffusionPipeline(**text_parts(unet=network), **unchecked()).save_pretrained(folder)
    write_adapters(folder, network, ("basic", "plus", "full"))


def sdxl_ip_adapter(folder: Path) -> None:
    """SDXL, of one level, with a resampling adapter."""
    changes = _XL | _ONE_LEVEL | {"projection_class_embeddings_input_dim": 6 * 8 + POOLED}
    network = unet(**changes)
    parts = text_parts(unet=network, vae=vae(force_upcast=True)) | second_text()
    Diffusers.StableDiffusionXLPipeline(**parts).save_pretrained(folder)
    write_adapters(folder, network, ("plus",))


FAMILIES: Mapping[str, Callable[[Path], None]] = {
    **PICTURE_FAMILIES,
    "stable-diffusion": stable_diffusion,
    "stable-diffusion-2": stable_diffusion_2,
    "lcm": latent_consistency,
    "sdxl": sdxl,
    "sdxl-refiner": sdxl_refiner,
    "controlnet": two_controlnets,
    "latent-classes": latent_classes,
    "unconditional": unconditional,
    "inpainting": inpainting,
    "controlled": controlled,
    "sdxl-controlled": sdxl_controlled,
    "checked": checked,
    **TRANSFORMERS,
    "ip-adapters": ip_adapters,
    "sdxl-ip-adapter": sdxl_ip_adapter,
}
