"""Tiny pipelines of random weights, a folder a family, at the architectures that diffusers' own tests build."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from .ip_adapters import write_adapters
from .tiny_networks import (
    UNET,
    Diffusers,
    Transformers,
    change,
    controlnet,
    safety_checker,
    text_encoder,
    tokenizer,
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
_POOLED = 16
_ONE_LEVEL: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("CrossAttnDownBlock2D",),
    "up_block_types": ("CrossAttnUpBlock2D",),
    "attention_head_dim": 2,
    "transformer_layers_per_block": 1,
}
_SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
_FEWEST: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
    "attention_head_dim": 2,
}
"""Text is read in the middle alone: the fewer layers, the sooner it is traced."""
_FEWEST_XL: dict[str, Any] = _FEWEST | {
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + _POOLED,
    "cross_attention_dim": 32,
}


def stable_diffusion(folder: Path) -> None:
    """Stable Diffusion 1, with its safety checker."""
    parts = _text_parts() | {
        "safety_checker": safety_checker(),
        "feature_extractor": Transformers.CLIPImageProcessor(size=8, crop_size=8),
        "requires_safety_checker": True,
    }
    Diffusers.StableDiffusionPipeline(**parts).save_pretrained(folder)


def stable_diffusion_2(folder: Path) -> None:
    """Stable Diffusion 2: velocity prediction, linear projections, a text encoder with another activation."""
    unet_2 = unet(attention_head_dim=(2, 4), use_linear_projection=True)
    scheduler = Diffusers.DDIMScheduler(**_SCHEDULER, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    parts = _text_parts(unet=unet_2, scheduler=scheduler, text_encoder=text_encoder(hidden_act="gelu"))
    Diffusers.StableDiffusionPipeline(**parts, **_unchecked()).save_pretrained(folder)


def latent_consistency(folder: Path) -> None:
    """A latent consistency model: the guidance scale is embedded."""
    scheduler = Diffusers.LCMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False)
    parts = _text_parts(unet=unet(**_ONE_LEVEL, time_cond_proj_dim=12), scheduler=scheduler)
    Diffusers.LatentConsistencyModelPipeline(**parts, **_unchecked()).save_pretrained(folder)


def sdxl(folder: Path) -> None:
    """SDXL's base model: two text encoders, pooled text, six numbers of micro-conditioning."""
    network = unet(**_XL, projection_class_embeddings_input_dim=6 * 8 + _POOLED)
    parts = _text_parts(unet=network, vae=vae(force_upcast=True))
    Diffusers.StableDiffusionXLPipeline(**parts, **_second_text()).save_pretrained(folder)


def sdxl_refiner(folder: Path) -> None:
    """SDXL's refiner: the second text encoder alone, five numbers of micro-conditioning."""
    changes = _XL | _ONE_LEVEL | {"cross_attention_dim": 16, "projection_class_embeddings_input_dim": 5 * 8 + _POOLED}
    parts = _text_parts(unet=unet(**changes)) | _second_text() | {"requires_aesthetics_score": True}
    parts |= {"text_encoder": None, "tokenizer": None}
    Diffusers.StableDiffusionXLImg2ImgPipeline(**parts).save_pretrained(folder)


def two_controlnets(folder: Path) -> None:
    """Stable Diffusion 1 with two ControlNets."""
    denoiser = unet()
    controls = [controlnet(denoiser, seed) for seed in (4, 5)]
    parts = _text_parts(unet=denoiser)
    Diffusers.StableDiffusionControlNetPipeline(**parts, **_unchecked(), controlnet=controls).save_pretrained(folder)


def latent_classes(folder: Path) -> None:
    """A class-conditional UNet2DModel with an autoencoder behind it."""
    torch.manual_seed(0)
    network = Diffusers.UNet2DModel(
        **{key: value for key, value in UNET.items() if key != "cross_attention_dim"}
        | {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "num_class_embeds": 3}
    )
    scheduler = Diffusers.DDIMScheduler(**_SCHEDULER)
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
    parts = {"vqvae": vae(), "unet": network, "scheduler": Diffusers.DDIMScheduler(**_SCHEDULER)}
    Diffusers.LDMPipeline(**parts).save_pretrained(folder)


def inpainting(folder: Path) -> None:
    """A UNet that takes the mask and the masked image beside the sample."""
    parts = _text_parts(unet=unet(in_channels=9))
    Diffusers.StableDiffusionInpaintPipeline(**parts, **_unchecked()).save_pretrained(folder)


def instruct_pix2pix(folder: Path) -> None:
    """A UNet that takes the latents of the picture to edit beside the sample."""
    parts = _text_parts(unet=unet(**_FEWEST, in_channels=8))
    Diffusers.StableDiffusionInstructPix2PixPipeline(**parts, **_unchecked()).save_pretrained(folder)


def sdxl_instruct_pix2pix(folder: Path) -> None:
    """SDXL that takes the latents of the picture to edit, of one level."""
    parts = _text_parts(unet=unet(**_FEWEST_XL, in_channels=8), vae=vae(force_upcast=True))
    Diffusers.StableDiffusionXLInstructPix2PixPipeline(**parts, **_second_text()).save_pretrained(folder)


def sdxl_inpainting(folder: Path) -> None:
    """SDXL that takes the mask and the masked image, of one level."""
    parts = _text_parts(unet=unet(**_FEWEST_XL, in_channels=9), vae=vae(force_upcast=True))
    Diffusers.StableDiffusionXLInpaintPipeline(**parts, **_second_text()).save_pretrained(folder)


def upscaler(folder: Path) -> None:
    """An upscaler: takes a small picture with noise, and the level of that noise as a class."""
    parts = _text_parts(unet=unet(**_FEWEST, in_channels=7, num_class_embeds=1000))
    parts["low_res_scheduler"] = Diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    Diffusers.StableDiffusionUpscalePipeline(**parts, max_noise_level=350).save_pretrained(folder)


def super_resolution(folder: Path) -> None:
    """LDM super-resolution: takes a small picture beside latents that are not scaled, and no text."""
    torch.manual_seed(0)
    network = Diffusers.UNet2DModel(
        sample_size=16,
        in_channels=6,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
    )
    torch.manual_seed(1)
    autoencoder = Diffusers.VQModel(
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=3,
        num_vq_embeddings=64,
        norm_num_groups=2,
        sample_size=32,
    )
    parts = {"vqvae": autoencoder, "unet": network, "scheduler": Diffusers.DDIMScheduler(**_SCHEDULER)}
    Diffusers.LDMSuperResolutionPipeline(**parts).save_pretrained(folder)


def depth_to_image(folder: Path) -> None:
    """A UNet that takes a depth map beside the sample, with the network that estimates it."""
    torch.manual_seed(6)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
    config = Transformers.DPTConfig(
        **sizes, image_size=32, patch_size=16, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[16] * 4
    )
    parts = _text_parts(unet=unet(**_FEWEST, in_channels=5)) | {
        "depth_estimator": Transformers.DPTForDepthEstimation(config),
        "feature_extractor": Transformers.DPTImageProcessor(size={"height": 32, "width": 32}),
    }
    Diffusers.StableDiffusionDepth2ImgPipeline(**parts).save_pretrained(folder)


def marigold_depth(folder: Path) -> None:
    """Marigold's depth: the picture's latents stand before the sample, the prompt is always empty."""
    _marigold(folder, "Depth", prediction_type="depth", default_denoising_steps=4, default_processing_resolution=32)


def marigold_normals(folder: Path) -> None:
    """Marigold's surface normals, whose z is positive."""
    _marigold(folder, "Normals", use_full_z_range=False, default_denoising_steps=4, default_processing_resolution=32)


def _marigold(folder: Path, kind: str, **options: Any) -> None:
    trailing = {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    scheduler = Diffusers.DDIMScheduler(**_SCHEDULER, **trailing)
    parts = _text_parts(unet=unet(**_FEWEST, in_channels=8), scheduler=scheduler)
    getattr(Diffusers, f"Marigold{kind}Pipeline")(**parts, **options).save_pretrained(folder)


def controlled(folder: Path) -> None:
    """Stable Diffusion 1 with two ControlNets, of one level."""
    denoiser = unet(**_FEWEST)
    controls = [controlnet(denoiser, seed) for seed in (4, 5)]
    parts = _text_parts(unet=denoiser)
    Diffusers.StableDiffusionControlNetPipeline(**parts, **_unchecked(), controlnet=controls).save_pretrained(folder)


def sdxl_controlled(folder: Path) -> None:
    """SDXL with a ControlNet, of one level."""
    denoiser = unet(**_FEWEST_XL)
    parts = _text_parts(unet=denoiser, vae=vae(force_upcast=True), controlnet=controlnet(denoiser, 4))
    Diffusers.StableDiffusionXLControlNetPipeline(**parts, **_second_text()).save_pretrained(folder)


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
    Diffusers.StableDiffusionPipeline(**_text_parts(unet=network), **_unchecked()).save_pretrained(folder)
    write_adapters(folder, network, ("basic", "plus", "full"))


def sdxl_ip_adapter(folder: Path) -> None:
    """SDXL, of one level, with a resampling adapter."""
    changes = _XL | _ONE_LEVEL | {"projection_class_embeddings_input_dim": 6 * 8 + _POOLED}
    network = unet(**changes)
    parts = _text_parts(unet=network, vae=vae(force_upcast=True)) | _second_text()
    Diffusers.StableDiffusionXLPipeline(**parts).save_pretrained(folder)
    write_adapters(folder, network, ("plus",))


def _text_parts(**changes: Any) -> dict[str, Any]:
    scheduler = Diffusers.DDIMScheduler(**_SCHEDULER)
    parts = {"unet": unet, "vae": vae, "text_encoder": text_encoder, "tokenizer": tokenizer}
    made = {name: make() for name, make in parts.items() if name not in changes}
    return {"scheduler": scheduler} | made | changes


def _unchecked() -> dict[str, Any]:
    return {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


def _second_text() -> dict[str, Any]:
    encoder = text_encoder("CLIPTextModelWithProjection", hidden_act="gelu", projection_dim=_POOLED)
    return {"text_encoder_2": encoder, "tokenizer_2": tokenizer()}


FAMILIES: Mapping[str, Callable[[Path], None]] = {
    "stable-diffusion": stable_diffusion,
    "stable-diffusion-2": stable_diffusion_2,
    "lcm": latent_consistency,
    "sdxl": sdxl,
    "sdxl-refiner": sdxl_refiner,
    "controlnet": two_controlnets,
    "latent-classes": latent_classes,
    "unconditional": unconditional,
    "inpainting": inpainting,
    "instruct-pix2pix": instruct_pix2pix,
    "sdxl-instruct-pix2pix": sdxl_instruct_pix2pix,
    "sdxl-inpainting": sdxl_inpainting,
    "upscaler": upscaler,
    "super-resolution": super_resolution,
    "depth-to-image": depth_to_image,
    "marigold-depth": marigold_depth,
    "marigold-normals": marigold_normals,
    "controlled": controlled,
    "sdxl-controlled": sdxl_controlled,
    "checked": checked,
    **TRANSFORMERS,
    "ip-adapters": ip_adapters,
    "sdxl-ip-adapter": sdxl_ip_adapter,
}
