"""Latents of classes, and a tiny autoencoder in the place of the usual one, beside diffusers."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

import ddim_edge
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import Diffusers, tiny_autoencoder

from .conftest import FamilyOf
from .recording import close
from .test_families_against_diffusers import PROMPT, SEED, generator


def sampled(pipeline: Any, label: int, num_steps: int) -> torch.Tensor:
    """What diffusers' LDMPipeline does, with a class, which it has no argument for; an image, (1, 3, H, W)."""
    pipeline.scheduler.set_timesteps(num_steps)
    sample = torch.randn((1, 4, 16, 16), generator=generator())
    with torch.no_grad():
        for timestep in pipeline.scheduler.timesteps:
            prediction = pipeline.unet(sample, timestep, class_labels=torch.tensor([label])).sample
            sample = pipeline.scheduler.step(prediction, timestep, sample).prev_sample
        decoded: torch.Tensor = pipeline.vqvae.decode(sample / pipeline.vqvae.config.scaling_factor).sample
    return decoded


def test_latents_of_a_class(family_of: FamilyOf) -> None:
    family = family_of("latent-classes")
    wanted = sampled(family.diffusers(), 1, 2)
    result = family.pipeline.generate(labels=["bag"], num_steps=2, seed=SEED)
    pixels = ((wanted[0] / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(result.images[0] - pixels).max() <= 1
    assert np.abs(family.pipeline.generate(labels=["coat"], num_steps=2, seed=SEED).images[0] - pixels).max() > 1


def test_a_tiny_autoencoder_in_the_place_of_the_usual_one(
    family_of: FamilyOf, exports: Exports, tmp_path: Path
) -> None:
    family = family_of("stable-diffusion")
    tiny_autoencoder(tmp_path / "tiny")
    components = ("unet", "text_encoder", "vae_encoder", "vae_decoder")
    exports.export(family.source, tmp_path / "bundle", components, vae=tmp_path / "tiny")
    ours = ddim_edge.load(tmp_path / "bundle", "cpu")
    theirs = family.diffusers()
    theirs.vae = Diffusers.AutoencoderTiny.from_pretrained(tmp_path / "tiny")
    picture = theirs(PROMPT, num_inference_steps=2, guidance_scale=1.0, generator=generator(), output_type="np")
    image = ours.generate(prompt=PROMPT, num_steps=2, guidance_scale=1.0, seed=SEED).images[0]
    assert np.abs(image - np.round(picture.images[0] * 255)).max() <= 1
    assert ours.components.vae is not None
    pixels = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    with torch.no_grad():
        latents = theirs.vae.encode(pixels).latents * theirs.vae.config.scaling_factor
    close(ours.components.vae.encode(pixels.numpy(), lambda _shape: np.empty(0, np.float32)), latents.numpy())
