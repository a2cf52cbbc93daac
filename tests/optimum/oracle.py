"""Tiny pipelines exported by optimum-onnx, and the images that it and diffusers make of them.

Runs in an environment of its own (``requirements.txt``), which need not have ddim-edge: ``python oracle.py FOLDER``.
It makes a folder for each family. There, ``bundle`` is what optimum exports; for each run, ``RUN.json`` is what was
asked for in the words of ddim-edge, and ``RUN.npz`` has ``optimum_latents`` and ``diffusers_latents``, float32
(N, 4, H, W), and ``optimum_images`` and ``diffusers_images``, float32 (N, H, W, 3) in [0, 1].
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from optimum.exporters.onnx import main_export
from optimum.onnxruntime import ORTStableDiffusionPipeline, ORTStableDiffusionXLPipeline
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

SEED = 11
STEPS = 4
PROMPTS = ["a cab", "an old fox"]
RUNS: dict[str, dict[str, dict[str, Any]]] = {
    "stable-diffusion": {
        "plain": {"guidance_scale": 1.0},
        "guided": {"guidance_scale": 4.0, "negative_prompt": "ugly"},
    },
    "sdxl": {
        "plain": {"guidance_scale": 1.0},
        "guided": {"guidance_scale": 4.0},
        "guided from a text": {"guidance_scale": 4.0, "negative_prompt": "ugly"},
    },
}
"""What is asked of each family, in the words that diffusers and ddim-edge share."""

_NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
_TOKENS = 64
_POOLED = 16
_UNET: dict[str, Any] = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "sample_size": 16,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
}


def stable_diffusion(folder: Path) -> None:
    """Stable Diffusion 1 with the scheduler of its published folders."""
    scheduler = PNDMScheduler(**_NOISE, skip_prk_steps=True, set_alpha_to_one=False)
    network = UNet2DConditionModel(**_UNET, cross_attention_dim=16, attention_head_dim=4)
    StableDiffusionPipeline(
        unet=network,
        scheduler=scheduler,
        vae=_vae(),
        text_encoder=_text_encoder(CLIPTextModel),
        tokenizer=_tokenizer(folder),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def sdxl(folder: Path) -> None:
    """SDXL with the scheduler of its published folders."""
    network = UNet2DConditionModel(
        **_UNET,
        cross_attention_dim=32,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + _POOLED,
    )
    StableDiffusionXLPipeline(
        unet=network,
        scheduler=EulerDiscreteScheduler(**_NOISE, timestep_spacing="leading"),
        vae=_vae(),
        text_encoder=_text_encoder(CLIPTextModel),
        text_encoder_2=_text_encoder(CLIPTextModelWithProjection, hidden_act="gelu", projection_dim=_POOLED),
        tokenizer=_tokenizer(folder),
        tokenizer_2=_tokenizer(folder),
    ).save_pretrained(folder)


def _vae() -> Any:
    return AutoencoderKL(
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=2,
        sample_size=32,
    )


def _text_encoder(kind: Any, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "vocab_size": _TOKENS,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }
    return kind(CLIPTextConfig(**options | changes))


def _tokenizer(folder: Path) -> Any:
    """Knows single letters; in the two files that published folders have."""
    folder = folder.parent / "words"
    letters = [chr(ord("a") + index) for index in range(26)]
    words = ["<|startoftext|>", "<pad>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    folder.mkdir(exist_ok=True)
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({word: index for index, word in enumerate(words)}), encoding="utf-8")
    merges.write_text("#version: 0.2\n", encoding="utf-8")
    return CLIPTokenizer(str(vocabulary), str(merges), model_max_length=77)


def run(pipeline: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """Latents and images; image k with a generator of seed SEED + k."""
    pipeline.set_progress_bar_config(disable=True)
    if "negative_prompt" in options:
        options = {**options, "negative_prompt": [options["negative_prompt"]] * len(PROMPTS)}
    found = []
    for kind in ("latent", "np"):
        generators = [torch.Generator().manual_seed(SEED + index) for index in range(len(PROMPTS))]
        output = pipeline(PROMPTS, num_inference_steps=STEPS, generator=generators, output_type=kind, **options)
        found.append(np.asarray(output.images))
    return found[0], found[1]


def write(folder: Path, family: str, make: Any, kinds: dict[str, Any]) -> None:
    """Make a family's pipeline, export it, and let both run it."""
    own = folder / family
    own.mkdir(parents=True)
    torch.manual_seed(0)
    make(own / "source")
    main_export(str(own / "source"), own / "bundle", task="text-to-image", do_validation=False)
    # With I/O binding optimum 2.1 writes the prediction over the latents where there is no guidance.
    optimum = kinds["optimum"].from_pretrained(own / "bundle", use_io_binding=False)
    diffusers = kinds["diffusers"].from_pretrained(own / "source")
    for name, options in RUNS[family].items():
        results = {}
        for who, pipeline in (("optimum", optimum), ("diffusers", diffusers)):
            results[f"{who}_latents"], results[f"{who}_images"] = run(pipeline, options)
        asked = {"prompt": PROMPTS, "num_steps": STEPS, "seed": SEED, **options}
        (own / f"{name}.json").write_text(json.dumps(asked), encoding="utf-8")
        np.savez(own / f"{name}.npz", **results)


def main(folder: Path) -> None:
    """Everything, in ``folder``."""
    sd = {"optimum": ORTStableDiffusionPipeline, "diffusers": StableDiffusionPipeline}
    xl = {"optimum": ORTStableDiffusionXLPipeline, "diffusers": StableDiffusionXLPipeline}
    write(folder, "stable-diffusion", stable_diffusion, sd)
    write(folder, "sdxl", sdxl, xl)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
