"""Models that take a picture beside the sample, next to their pipelines in diffusers."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.closeness import keep

from .conftest import Family, FamilyOf
from .recording import check_alike, recording
from .test_editing_against_diffusers import picture
from .test_families_against_diffusers import NEGATIVE, PROMPT, SEED, generator

IMAGES = picture() * 2 - 1


def check(
    family: Family, scale: float, image_scale: float, theirs: dict[str, Any], ours: dict[str, Any], kind: str
) -> None:
    """Run both; the steps one by one, then our whole run's picture."""
    pipeline = family.diffusers(kind)
    with recording(pipeline, scale, image_scale=image_scale) as record:
        wanted = pipeline(generator=generator(), output_type="np", **theirs).images[0]
    request = family.pipeline.request(seed=SEED, **ours)
    assert len(record.steps) == ours["num_steps"]
    keep(family.title, check_alike(family.pipeline, request, record))
    image = family.pipeline.generate(seed=SEED, **ours).images[0]
    assert np.abs(image - np.round(wanted * 255)).max() <= 1
    assert image.std() > 5


@pytest.mark.parametrize(
    ("scale", "image_scale", "negative"), [(7.0, 1.5, None), (4.0, 1.0, NEGATIVE), (2.0, 2.0, None), (1.0, None, None)]
)
def test_a_picture_is_edited_by_text(
    scale: float, image_scale: float | None, negative: str | None, family_of: FamilyOf
) -> None:
    theirs = {"prompt": PROMPT, "num_inference_steps": 3, "guidance_scale": scale, "negative_prompt": negative}
    theirs |= {"image": torch.from_numpy(picture()), "image_guidance_scale": image_scale or 1.5}
    ours = {"prompt": PROMPT, "num_steps": 3, "guidance_scale": scale, "negative_prompt": negative, "images": IMAGES}
    ours |= {"image_guidance_scale": image_scale}
    kind = "StableDiffusionInstructPix2PixPipeline"
    check(family_of("instruct-pix2pix"), scale, image_scale or 1.0, theirs, ours, kind)
