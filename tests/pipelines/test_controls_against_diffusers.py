"""ControlNets beside diffusers: one, two, SDXL's, and with an image to change."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import ddim_edge

from .conftest import Family, FamilyOf
from .recording import check_alike, recording
from .test_controls import without_the_second
from .test_editing_against_diffusers import picture
from .test_families_against_diffusers import PROMPT, SEED, generator

CONTROLLED = "StableDiffusionControlNetPipeline"


def control(height: int = 32, width: int = 32, period: int = 5) -> NDArray[np.float32]:
    """Stripes in [0, 1], float32 (1, 3, H, W)."""
    down, across, channel = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((across + 2 * down + channel) % period / (period - 1)).transpose(2, 0, 1)[None].astype(np.float32)


def check(
    pipeline: Any, ours: ddim_edge.Pipeline, scale: float, theirs: dict[str, Any], options: dict[str, Any]
) -> NDArray[np.uint8]:
    """Run both; the steps one by one, then our whole run's picture, which is returned."""
    with recording(pipeline, scale) as record:
        image = pipeline(prompt=PROMPT, guidance_scale=scale, generator=generator(), output_type="np", **theirs).images
    options = {"prompt": PROMPT, "guidance_scale": scale, "seed": SEED, **options}
    check_alike(ours, ours.request(**options), record)
    found: NDArray[np.uint8] = ours.generate(**options).images[0]
    assert np.abs(found - np.round(image[0] * 255)).max() <= 1
    return found


def tensors(*images: NDArray[np.float32]) -> list[torch.Tensor]:
    return [torch.from_numpy(image) for image in images]


def test_two_controls(family_of: FamilyOf) -> None:
    family, images = family_of("controlled"), (control(), control(period=3))
    theirs: dict[str, Any] = {
        "image": tensors(*images),
        "controlnet_conditioning_scale": [0.7, 0.4],
        "num_inference_steps": 3,
        "negative_prompt": "ugly",
    }
    ours: dict[str, Any] = {
        "control_images": images,
        "control_scale": [0.7, 0.4],
        "num_steps": 3,
        "negative_prompt": "ugly",
    }
    found = check(family.diffusers(CONTROLLED), family.pipeline, 4.0, theirs, ours)
    swapped = family.pipeline.generate(
        prompt=PROMPT, seed=SEED, guidance_scale=4.0, **ours | {"control_scale": [0.4, 0.7]}
    )
    assert np.abs(found.astype(int) - swapped.images[0]).max() > 3


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_one_control_at_another_size(scale: float, family_of: FamilyOf, tmp_path: Path) -> None:
    family, image = family_of("controlled"), control(48, 24)
    pipeline = family.diffusers(CONTROLLED)
    pipeline.controlnet = pipeline.controlnet.nets[0]
    theirs: dict[str, Any] = {"image": tensors(image)[0], "num_inference_steps": 2}
    ours: dict[str, Any] = {"control_images": image, "height": 48, "width": 24, "num_steps": 2}
    check(pipeline, without_the_second(family, tmp_path), scale, theirs, ours)


def test_sdxl(family_of: FamilyOf) -> None:
    family: Family = family_of("sdxl-controlled")
    theirs: dict[str, Any] = {
        "image": tensors(control())[0],
        "controlnet_conditioning_scale": 0.6,
        "num_inference_steps": 3,
    }
    ours: dict[str, Any] = {"control_images": [control()], "control_scale": 0.6, "num_steps": 3}
    check(family.diffusers("StableDiffusionXLControlNetPipeline"), family.pipeline, 5.0, theirs, ours)


def test_an_image_is_changed_under_control(family_of: FamilyOf) -> None:
    family, images = family_of("controlled"), (control(), control(period=3))
    theirs: dict[str, Any] = {
        "image": torch.from_numpy(picture()),
        "control_image": tensors(*images),
        "controlnet_conditioning_scale": [1.0, 1.0],
        "num_inference_steps": 4,
        "strength": 0.5,
    }
    origin = ddim_edge.Origin(image=picture() * 2 - 1)
    ours: dict[str, Any] = {"origin": origin, "control_images": images, "num_steps": 4, "strength": 0.5}
    check(family.diffusers("StableDiffusionControlNetImg2ImgPipeline"), family.pipeline, 4.0, theirs, ours)
