"""Models that take a picture beside the sample, next to their pipelines in diffusers."""

from typing import Any

import numpy as np
import pytest
import torch

import ddim_edge
from tests.helpers.closeness import keep

from .conftest import Family, FamilyOf
from .recording import check_alike, close, recording
from .test_editing_against_diffusers import picture
from .test_families_against_diffusers import NEGATIVE, PROMPT, SEED, generator

IMAGES = picture() * 2 - 1


def check(
    family: Family,
    scale: float,
    image_scale: float,
    theirs: dict[str, Any],
    ours: dict[str, Any],
    kind: str,
    steps: int | None = None,
) -> None:
    """Run both; the ``steps``, by default all, one by one, then our whole run's picture."""
    pipeline = family.diffusers(kind)
    with recording(pipeline, scale, image_scale=image_scale) as record:
        wanted = pipeline(generator=generator(), output_type="np", **theirs).images[0]
    request = family.pipeline.request(seed=SEED, **ours)
    assert len(record.steps) == (steps or ours["num_steps"])
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


def test_a_picture_is_edited_by_sdxl(family_of: FamilyOf) -> None:
    theirs = {"prompt": PROMPT, "num_inference_steps": 2, "guidance_scale": 5.0, "image_guidance_scale": 2.0}
    theirs |= {"image": torch.from_numpy(picture())}
    ours = {"prompt": PROMPT, "num_steps": 2, "guidance_scale": 5.0, "image_guidance_scale": 2.0, "images": IMAGES}
    kind = "StableDiffusionXLInstructPix2PixPipeline"
    check(family_of("sdxl-instruct-pix2pix"), 5.0, 2.0, theirs, ours, kind)


def test_a_picture_is_enlarged_by_text(family_of: FamilyOf) -> None:
    """The size follows the small picture."""
    small = picture()[..., 4:24, ::2].copy()
    theirs = {"prompt": PROMPT, "num_inference_steps": 2, "guidance_scale": 4.0, "image": torch.from_numpy(small)}
    theirs |= {"noise_level": 50}
    ours: dict[str, Any] = {"prompt": PROMPT, "num_steps": 2, "guidance_scale": 4.0}
    ours |= {"images": small * 2 - 1, "noise_level": 50}
    check(family_of("upscaler"), 4.0, 1.0, theirs, ours, "StableDiffusionUpscalePipeline")
    assert family_of("upscaler").pipeline.generate(**ours).images.shape == (1, 40, 32, 3)


def test_a_depth_map_guides_a_change(family_of: FamilyOf) -> None:
    depth = np.linspace(3, 7, 16 * 16, dtype=np.float32).reshape(1, 16, 16)
    theirs = {"prompt": PROMPT, "num_inference_steps": 4, "guidance_scale": 4.0, "strength": 0.5}
    theirs |= {"image": torch.from_numpy(picture()), "depth_map": torch.from_numpy(depth)}
    ours = {"prompt": PROMPT, "num_steps": 4, "guidance_scale": 4.0, "strength": 0.5, "images": depth[None]}
    ours |= {"origin": ddim_edge.Origin(image=IMAGES)}
    check(family_of("depth-to-image"), 4.0, 1.0, theirs, ours, "StableDiffusionDepth2ImgPipeline", steps=2)


def test_a_picture_is_enlarged_without_text(family_of: FamilyOf) -> None:
    family, small = family_of("super-resolution"), picture()[..., ::2, ::2].copy() * 2 - 1
    pipeline = family.diffusers("LDMSuperResolutionPipeline")
    with recording(pipeline, 1.0, 3, scaled=False) as record:
        options = {"num_inference_steps": 3, "generator": generator(), "output_type": "np"}
        wanted = pipeline(torch.from_numpy(small), **options).images[0]
    request = family.pipeline.request(seed=SEED, num_steps=3, images=small)
    keep(family.title, check_alike(family.pipeline, request, record))
    image = family.pipeline.generate(seed=SEED, num_steps=3, images=small).images[0]
    assert np.abs(image - np.round(wanted * 255)).max() <= 1


@pytest.mark.parametrize("kind", ["Depth", "Normals"])
def test_a_picture_is_measured(kind: str, family_of: FamilyOf) -> None:
    family = family_of(f"marigold-{kind.lower()}")
    pipeline = family.diffusers(f"Marigold{kind}Pipeline")
    with recording(pipeline, 1.0, first=4) as record:
        options = {"processing_resolution": 0, "match_input_resolution": False, "generator": generator()}
        wanted = pipeline(torch.from_numpy(picture()), **options).prediction.transpose(0, 3, 1, 2)
    assert len(record.steps) == family.pipeline.bundle.num_steps == 4
    record.steps = [step._replace(inputs={}) for step in record.steps]  # the empty prompt is a part of our graph
    request = family.pipeline.request(seed=SEED, images=IMAGES)
    keep(family.title, check_alike(family.pipeline, request, record))
    result = family.pipeline.generate(seed=SEED, images=IMAGES)
    close(result.samples, wanted)
    shown = getattr(pipeline.image_processor, f"visualize_{kind.lower()}")(wanted.transpose(0, 2, 3, 1))[0]
    assert np.abs(result.images[0].astype(int) - np.asarray(shown)).max() <= (6 if kind == "Depth" else 1)
    assert not (family.bundle / "text_encoder").exists()
