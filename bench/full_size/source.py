"""The source folders, in diffusers' layout, with random weights.

The time and memory of a network do not depend on its weights, so nothing has to be downloaded.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from tests.text.tokenizer_folders import write_tokenizer

from ..on_gpu.models import MODELS

_TEXT: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}
_UNET: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
_VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}
_SCHEDULER: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def stable_diffusion(folder: Path) -> None:
    """Stable Diffusion 1.5's architecture: text encoder, UNet, VAE, tokenizer, scheduler; 4.3 GB in float32."""
    torch, diffusers, transformers = map(importlib.import_module, ("torch", "diffusers", "transformers"))
    torch.manual_seed(0)
    written = write_tokenizer(folder / "tokenizer")
    pipeline = diffusers.StableDiffusionPipeline(
        text_encoder=transformers.CLIPTextModel(transformers.CLIPTextConfig(**_TEXT)),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(written),
        unet=diffusers.UNet2DConditionModel(**_UNET),
        vae=diffusers.AutoencoderKL(**_VAE),
        scheduler=diffusers.DDIMScheduler(**_SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)


def pixels(folder: Path) -> None:
    """A UNet2DModel of 64x64 pixels with 60 million parameters, the GPU bench's ``unet-64``."""
    torch, diffusers = map(importlib.import_module, ("torch", "diffusers"))
    torch.manual_seed(0)
    config = next(model.config for model in MODELS if model.name == "unet-64")
    pipeline = diffusers.DDIMPipeline(unet=diffusers.UNet2DModel(**config), scheduler=diffusers.DDIMScheduler())
    pipeline.save_pretrained(folder)


if __name__ == "__main__":
    {"stable_diffusion": stable_diffusion, "pixels": pixels}[sys.argv[1]](Path(sys.argv[2]))
