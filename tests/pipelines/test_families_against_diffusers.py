"""Every family beside diffusers: the same seed, the same text, each step fed the same samples, the same image."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.closeness import keep

from .conftest import Family, FamilyOf
from .recording import check_alike, recording

PROMPT, NEGATIVE = "a cab on mars", "ugly"
SEED = 5


def generator(seed: int = SEED) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def check(
    family: Family, scale: float, theirs: dict[str, Any], ours: dict[str, Any], kind: str = "DiffusionPipeline"
) -> None:
    """Run both; the steps one by one, then our whole run's picture."""
    pipeline = family.diffusers(kind)
    with recording(pipeline, scale) as record:
        picture = pipeline(generator=generator(), output_type="np", **theirs).images[0]
    keep(family.title, check_alike(family.pipeline, family.pipeline.request(seed=SEED, **ours), record))
    image = family.pipeline.generate(seed=SEED, **ours).images[0]
    assert np.abs(image - np.round(picture * 255)).max() <= 1
    assert image.std() > 5


@pytest.mark.parametrize("negative", [None, NEGATIVE])
@pytest.mark.parametrize("name", ["stable-diffusion", "stable-diffusion-2", "sdxl"])
def test_text_to_image(name: str, negative: str | None, family_of: FamilyOf) -> None:
    theirs = {"prompt": PROMPT, "negative_prompt": negative, "num_inference_steps": 3, "guidance_scale": 4.0}
    ours = {"prompt": PROMPT, "negative_prompt": negative, "num_steps": 3, "guidance_scale": 4.0}
    check(family_of(name), 4.0, theirs, ours)


@pytest.mark.parametrize("name", ["stable-diffusion", "sdxl"])
def test_another_size_and_no_guidance(name: str, family_of: FamilyOf) -> None:
    theirs = {"prompt": PROMPT, "height": 40, "width": 24, "num_inference_steps": 2, "guidance_scale": 1.0}
    ours = {"prompt": PROMPT, "height": 40, "width": 24, "num_steps": 2, "guidance_scale": 1.0}
    check(family_of(name), 1.0, theirs, ours)


@pytest.mark.parametrize("scale", [0.0, 0.5])
@pytest.mark.parametrize("name", ["stable-diffusion", "sdxl"])
def test_a_scale_below_1_is_no_guidance(name: str, scale: float, family_of: FamilyOf) -> None:
    """Turbo models' cards say 0."""
    theirs = {"prompt": PROMPT, "num_inference_steps": 2, "guidance_scale": scale}
    check(family_of(name), 1.0, theirs, {"prompt": PROMPT, "num_steps": 2, "guidance_scale": scale})


def test_fresh_noise_is_drawn_in_the_same_order(family_of: FamilyOf) -> None:
    theirs = {"prompt": PROMPT, "num_inference_steps": 3, "guidance_scale": 1.0, "eta": 0.7}
    check(
        family_of("stable-diffusion"),
        1.0,
        theirs,
        {"prompt": PROMPT, "num_steps": 3, "guidance_scale": 1.0, "eta": 0.7},
    )


def test_embedded_guidance(family_of: FamilyOf) -> None:
    theirs = {"prompt": PROMPT, "num_inference_steps": 3, "guidance_scale": 6.0}
    check(family_of("lcm"), 1.0, theirs, {"prompt": PROMPT, "num_steps": 3, "guidance_scale": 6.0})


def test_latents_without_text(family_of: FamilyOf) -> None:
    check(family_of("unconditional"), 1.0, {"num_inference_steps": 3}, {"num_steps": 3})


def test_usual_guidance_is_that_of_diffusers(family_of: FamilyOf) -> None:
    check(family_of("sdxl"), 5.0, {"prompt": PROMPT, "num_inference_steps": 2}, {"prompt": PROMPT, "num_steps": 2})
