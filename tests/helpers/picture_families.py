"""Tiny pipelines of random weights whose UNets take a picture beside the sample."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from .family_parts import FEWEST, FEWEST_XL, SCHEDULER, second_text, text_parts, unchecked
from .tiny_networks import Diffusers, Transformers, unet, vae


def instruct_pix2pix(folder: Path) -> None:
    """A UNet that takes the latents of the picture to edit beside the sample."""
    parts = text_parts(unet=unet(**FEWEST, in_channels=8))
    Diffusers.StableDiffusionInstructPix2PixPipeline(**parts, **unchecked()).save_pretrained(folder)


def sdxl_instruct_pix2pix(folder: Path) -> None:
    """SDXL that takes the latents of the picture to edit, of one level."""
    parts = text_parts(unet=unet(**FEWEST_XL, in_channels=8), vae=vae(force_upcast=True))
    Diffusers.StableDiffusionXLInstructPix2PixPipeline(**parts, **second_text()).save_pretrained(folder)


def sdxl_inpainting(folder: Path) -> None:
    """SDXL that takes the mask and the masked image, of one level."""
    parts = text_parts(unet=unet(**FEWEST_XL, in_channels=9), vae=vae(force_upcast=True))
    Diffusers.StableDiffusionXLInpaintPipeline(**parts, **second_text()).save_pretrained(folder)


def upscaler(folder: Path) -> None:
    """An upscaler: takes a small picture with noise, and the level of that noise as a class."""
    parts = text_parts(unet=unet(**FEWEST, in_channels=7, num_class_embeds=1000))
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
    parts = {"vqvae": autoencoder, "unet": network, "scheduler": Diffusers.DDIMScheduler(**SCHEDULER)}
    Diffusers.LDMSuperResolutionPipeline(**parts).save_pretrained(folder)


def depth_to_image(folder: Path) -> None:
    """A UNet that takes a depth map beside the sample, with the network that estimates it."""
    torch.manual_seed(6)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
    config = Transformers.DPTConfig(
        **sizes, image_size=32, patch_size=16, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[16] * 4
    )
    parts = text_parts(unet=unet(**FEWEST, in_channels=5)) | {
        "depth_estimator": Transformers.DPTForDepthEstimation(config),
        "feature_extractor": Transformers.DPTImageProcessor(size={"height": 32, "width": 32}),
    }
    Diffusers.StableDiffusionDepth2ImgPipeline(**parts).save_pretrained(folder)


def marigold_depth(folder: Path) -> None:
    """Marigold's depth: the picture's latents stand before the sample, the prompt is always empty."""
    _marigold(folder, "Depth", prediction_type="depth", default_denoising_steps=4, default_processing_resolution=32)


def marigold_normals(folder: Path) -> None:
    """Marigold's surface normals, whose z is positive."""
    _marigold(
        folder,
        "Normals",
        prediction_type="normals",
        use_full_z_range=False,
        default_denoising_steps=4,
        default_processing_resolution=32,
    )


def _marigold(folder: Path, kind: str, **options: Any) -> None:
    trailing = {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    scheduler = Diffusers.DDIMScheduler(**SCHEDULER, **trailing)
    parts = text_parts(unet=unet(**FEWEST, in_channels=8), scheduler=scheduler)
    getattr(Diffusers, f"Marigold{kind}Pipeline")(**parts, **options).save_pretrained(folder)


PICTURE_FAMILIES: Mapping[str, Callable[[Path], None]] = {
    "instruct-pix2pix": instruct_pix2pix,
    "sdxl-instruct-pix2pix": sdxl_instruct_pix2pix,
    "sdxl-inpainting": sdxl_inpainting,
    "upscaler": upscaler,
    "super-resolution": super_resolution,
    "depth-to-image": depth_to_image,
    "marigold-depth": marigold_depth,
    "marigold-normals": marigold_normals,
}
"""By their names."""
