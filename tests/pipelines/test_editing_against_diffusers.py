"""Changing an image and repainting a part of it, beside diffusers."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import ddim_edge
from tests.helpers.closeness import keep

from .conftest import Family, FamilyOf
from .recording import check_alike, recording
from .test_families_against_diffusers import PROMPT, SEED, generator

SIDE = 32


def picture() -> NDArray[np.float32]:
    """Smooth colours in [0, 1], float32 (1, 3, 32, 32)."""
    across, down = np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE))
    return np.stack([across, down, across * down])[None].astype(np.float32)


def mask() -> NDArray[np.bool_]:
    """A disc whose edge runs through the blocks that a latent stands for."""
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    return (((across - 13) ** 2 + (down - 17) ** 2) < 81)[None, None]


def check(family: Family, kind: str, theirs: dict[str, Any], ours: dict[str, Any], *, masked: bool) -> None:
    arguments = {"prompt": PROMPT, "guidance_scale": 4.0, "image": torch.from_numpy(picture()), **theirs}
    if masked:
        arguments |= {"mask_image": torch.from_numpy(mask().astype(np.float32)), "height": SIDE, "width": SIDE}
    pipeline = family.diffusers(kind)
    with recording(pipeline, 4.0) as record:
        image = pipeline(generator=generator(), output_type="np", **arguments).images[0]
    origin = ddim_edge.Origin(image=picture() * 2 - 1, mask=mask() if masked else None)
    options = {"prompt": PROMPT, "guidance_scale": 4.0, "origin": origin, **ours}
    keep(family.title, check_alike(family.pipeline, family.pipeline.request(seed=SEED, **options), record))
    found = family.pipeline.generate(seed=SEED, **options).images[0]
    assert np.abs(found - np.round(image * 255)).max() <= 1


@pytest.mark.parametrize("strength", [0.5, 0.8, 1.0])
def test_an_image_is_changed(strength: float, family_of: FamilyOf) -> None:
    theirs = {"num_inference_steps": 5, "strength": strength}
    check(
        family_of("stable-diffusion"),
        "StableDiffusionImg2ImgPipeline",
        theirs,
        {"num_steps": 5, "strength": strength},
        masked=False,
    )


@pytest.mark.parametrize("name", ["sdxl", "sdxl-refiner"])
def test_an_image_is_changed_by_sdxl(name: str, family_of: FamilyOf) -> None:
    theirs = {"num_inference_steps": 4, "strength": 0.5}
    kind = "StableDiffusionXLImg2ImgPipeline"
    check(family_of(name), kind, theirs, {"num_steps": 4, "strength": 0.5}, masked=False)


def test_a_part_is_repainted_by_sdxl(family_of: FamilyOf) -> None:
    theirs = {"num_inference_steps": 4, "strength": 0.6}
    kind = "StableDiffusionXLInpaintPipeline"
    check(family_of("sdxl-inpainting"), kind, theirs, {"num_steps": 4, "strength": 0.6}, masked=True)


@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize("name", ["stable-diffusion", "inpainting"])
def test_a_part_is_repainted(name: str, eta: float, strength: float, family_of: FamilyOf) -> None:
    theirs = {"num_inference_steps": 5, "strength": strength, "eta": eta}
    ours = {"num_steps": 5, "strength": strength, "eta": eta}
    check(family_of(name), "StableDiffusionInpaintPipeline", theirs, ours, masked=True)
