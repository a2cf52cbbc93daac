"""Saves the trained networks as a folder that diffusers can load."""

from pathlib import Path
from typing import Any

from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from transformers import CLIPTokenizer

from ddim_edge_export.output.record import write_json

from ..recipe import scheduler_file
from .denoiser import TextToLatents

SCHEDULER = scheduler_file(num_steps=20)
CARD = """---
license: ofl-1.1
---
# emoji

Colour emoji of 32x32 pixels from their Unicode names, learnt from the pictures of Noto Color Emoji (Copyright 2013-2017
Google Inc.; Debian's package fonts-noto-color-emoji, whose fonts are under the SIL Open Font License 1.1,
https://scripts.sil.org/OFL). The networks know those pictures by heart, so they are passed on under the same licence.
"""


def save_pipeline(folder: Path, trained: TextToLatents, autoencoder: Any, tokenizer: CLIPTokenizer) -> None:
    """Save a StableDiffusionPipeline with its scheduler file and a model card that states the licence."""
    pipeline = StableDiffusionPipeline(
        unet=trained.unet,
        vae=autoencoder,
        text_encoder=trained.text_encoder,
        tokenizer=tokenizer,
        scheduler=DPMSolverMultistepScheduler(steps_offset=1),  # avoids a warning; the file is overwritten below
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
