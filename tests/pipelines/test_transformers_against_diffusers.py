"""Transformers as denoisers beside diffusers: DiT of classes, Stable Diffusion 3 with and without T5, and PixArt."""

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import ddim_edge
from ddim_edge.serving import Settings, create_app
from ddim_edge.text import TruncationWarning
from tests.helpers.closeness import keep
from tests.helpers.command_line import Invoke

from .conftest import Family, FamilyOf
from .recording import check_alike, recording
from .test_families_against_diffusers import NEGATIVE, PROMPT, SEED, generator


def check(family: Family, theirs: Any, scale: float, asked: dict[str, Any], ours: dict[str, Any]) -> None:
    """Run both with a guidance of ``scale``; the steps one by one, then our whole run's picture."""
    channels = theirs.transformer.config.in_channels
    classes = "class_labels" in asked  # DiT's pipeline has the guided half first
    with recording(theirs, scale, channels, guided_half_first=classes) as record:
        picture = theirs(generator=generator(), output_type="np", guidance_scale=scale, **asked).images[0]
    options = {"seed": SEED, "guidance_scale": scale, **ours}
    keep(family.title, check_alike(family.pipeline, family.pipeline.request(**options), record))
    image = family.pipeline.generate(**options).images[0]
    assert np.abs(image - np.round(picture * 255)).max() <= 1
    assert image.std() > 5


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_classes(scale: float, family_of: FamilyOf) -> None:
    family = family_of("dit")
    asked = {"class_labels": [1], "num_inference_steps": 3}
    check(family, family.diffusers(), scale, asked, {"labels": ["goldfish"], "num_steps": 3})


def test_usual_options_are_those_of_diffusers(family_of: FamilyOf) -> None:
    usual = family_of("dit").pipeline.request(labels=[2])
    assert (usual.guidance_scale, usual.num_steps) == (4.0, 50)
    usual = family_of("sd3").pipeline.request(prompt="a")
    assert (usual.guidance_scale, usual.num_steps) == (7.0, 28)


@pytest.mark.parametrize("negative", [None, NEGATIVE])
def test_text_of_three_encoders(negative: str | None, family_of: FamilyOf) -> None:
    family = family_of("sd3")
    asked = {"prompt": PROMPT, "negative_prompt": negative, "num_inference_steps": 3}
    check(family, family.diffusers(), 4.0, asked, {"prompt": PROMPT, "negative_prompt": negative, "num_steps": 3})


def test_another_size_and_no_guidance(family_of: FamilyOf) -> None:
    family = family_of("sd3")
    size = {"height": 10, "width": 24}
    asked = {"prompt": PROMPT, "num_inference_steps": 2, **size}
    check(family, family.diffusers(), 1.0, asked, {"prompt": PROMPT, "num_steps": 2, **size})


@pytest.mark.parametrize("negative", ["", NEGATIVE])
def test_text_with_a_mask_and_the_size_of_the_image(negative: str, family_of: FamilyOf) -> None:
    family = family_of("pixart")
    theirs = family.diffusers()
    # Its pipeline tells the transformer the size where this says 1024 pixels; otherwise it is not read.
    theirs.transformer.register_to_config(sample_size=128)
    asked = {"prompt": PROMPT, "negative_prompt": negative, "num_inference_steps": 3, "height": 16, "width": 16}
    asked |= {"clean_caption": False, "use_resolution_binning": False}
    ours = {"prompt": PROMPT, "negative_prompt": negative or None, "num_steps": 3}
    check(family, theirs, 4.0, asked, ours)


@pytest.fixture
def without_t5(family_of: FamilyOf, tmp_path: Path) -> Family:
    """The same model without T5, as ``--components`` leaves it out."""
    family, bundle = family_of("sd3"), tmp_path / "sd3"
    shutil.copytree(family.bundle, bundle, ignore=shutil.ignore_patterns("text_encoder_3", "tokenizer_3"))
    index = json.loads((bundle / "model_index.json").read_text())
    (bundle / "model_index.json").write_text(json.dumps({**index, "text_encoder_3": [None, None]}))
    return Family(family.source, bundle, ddim_edge.load(bundle, "cpu"))


def test_text_without_t5(without_t5: Family) -> None:
    theirs = without_t5.diffusers()
    theirs.text_encoder_3 = None
    asked = {"prompt": PROMPT, "num_inference_steps": 2}
    check(without_t5, theirs, 4.0, asked, {"prompt": PROMPT, "num_steps": 2})


def test_t5_reads_more_than_clip(family_of: FamilyOf) -> None:
    """Both cut what they do not take, T5 later."""
    family = family_of("sd3")
    text = "cars on mars " * 30
    with pytest.warns(TruncationWarning) as warned:
        check(
            family,
            family.diffusers(),
            1.0,
            {"prompt": text, "num_inference_steps": 1},
            {"prompt": text, "num_steps": 1},
        )
    assert any("tokens of T5" in str(warning.message) for warning in warned)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dit", {"labels": ["goldfish"], "height": 32, "width": 32}, "takes only samples of 8x8, not 16x16"),
        ("dit", {"labels": ["gold fish"]}, "label 'gold fish' is unknown"),
        ("dit", {"prompt": "a goldfish"}, "prompt"),
        ("sd3", {"prompt": "a", "width": 17}, "use 16 or 18"),
        ("sd3", {"prompt": "a", "width": 26}, "width"),
        ("sd3", {"labels": [1]}, "has no classes"),
        ("pixart", {"prompt": "a", "height": 24}, "takes only samples of 8x8, not 12x8"),
    ],
)
def test_bad_input(name: str, options: dict[str, Any], message: str, family_of: FamilyOf) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        family_of(name).pipeline.request(**options)


def test_weights_are_not_for_t5_alone(family_of: FamilyOf) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="this model's text is T5's: leave them out"):
        family_of("pixart").pipeline.generate(prompt="a (red:1.3) cab", prompt_weights=True, num_steps=1)


def test_the_command_line(family_of: FamilyOf, invoke: Invoke, tmp_path: Path) -> None:
    labels = ["--labels", "goldfish,class 7", "--guidance-scale", 4, "--num-steps", 2]
    assert invoke("run", family_of("dit").bundle, *labels, "-o", "classes.png").code == 0
    prompt = ["--prompt", PROMPT, "--negative-prompt", NEGATIVE, "-g", 5, "--height", 10, "--width", 24, "-s", 2]
    assert invoke("run", family_of("sd3").bundle, *prompt, "-o", "text.png").code == 0
    with Image.open(tmp_path / "text.png") as image:
        assert image.size == (24, 10)
    assert invoke("run", "--from-image", "text.png", "-o", "again.png").code == 0
    assert (tmp_path / "text.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    refused = invoke("run", family_of("dit").bundle, "--labels", 1, "--max-memory", "2GB", "-o", "no.png")
    assert refused.failed_with("max_memory is estimated for UNets")


def test_the_server(family_of: FamilyOf) -> None:
    bundles = {name: family_of(name).bundle for name in ("dit", "sd3")}
    classes = {"model": "dit", "labels": ["goldfish"], "guidance_scale": 4.0}
    text = {"model": "sd3", "prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": 4.0, "size": "24x10"}
    with TestClient(create_app(bundles, Settings())) as client:
        for body in (classes, text):
            answer = client.post("/v1/images/generations", json={**body, "seed": SEED, "num_inference_steps": 2})
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"]))))
            options: dict[str, Any] = {key: value for key, value in body.items() if key not in ("model", "size")}
            options |= {"width": 24, "height": 10} if "size" in body else {}
            ours = family_of(str(body["model"])).pipeline.generate(**options, seed=SEED, num_steps=2)
            np.testing.assert_array_equal(pixels, ours.images[0])
