"""Tiny pipelines of random weights, a folder a family, at the architectures that diffusers' own tests build."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

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
_UNET: dict[str, Any] = {
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


def unet(**changes: Any) -> Any:
    """A conditional UNet of two levels."""
    torch.manual_seed(0)
    return Diffusers.UNet2DConditionModel(**_UNET | changes)


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


def controlled(folder: Path) -> None:
    """Stable Diffusion 1 with two ControlNets."""
    denoiser = unet()
    controls = [controlnet(denoiser, seed) for seed in (4, 5)]
    parts = _text_parts(unet=denoiser)
    Diffusers.StableDiffusionControlNetPipeline(**parts, **_unchecked(), controlnet=controls).save_pretrained(folder)


def latent_classes(folder: Path) -> None:
    """A class-conditional UNet2DModel with an autoencoder behind it."""
    torch.manual_seed(0)
    network = Diffusers.UNet2DModel(
        **{key: value for key, value in _UNET.items() if key != "cross_attention_dim"}
        | {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "num_class_embeds": 3}
    )
    scheduler = Diffusers.DDIMScheduler(**_SCHEDULER)
    Diffusers.LDMPipeline(vqvae=vae(), unet=network, scheduler=scheduler).save_pretrained(folder)
    change(folder / "model_index.json", id2label={"0": "coat", "1": "bag"}, null_class=2)


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


FAMILIES: Mapping[str, Callable[[Path], None]] = {
    "stable-diffusion": stable_diffusion,
    "stable-diffusion-2": stable_diffusion_2,
    "lcm": latent_consistency,
    "sdxl": sdxl,
    "sdxl-refiner": sdxl_refiner,
    "controlnet": controlled,
    "latent-classes": latent_classes,
}


def change(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


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


def controlnet(denoiser: Any, seed: int) -> Any:
    """A ControlNet whose last layers, which are made as zeros, are random, too."""
    torch.manual_seed(seed)
    network = Diffusers.ControlNetModel.from_unet(denoiser, conditioning_embedding_out_channels=(4, 8))
    last = network.controlnet_cond_embedding.conv_out
    for part in (network.controlnet_down_blocks, network.controlnet_mid_block, last):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return network
