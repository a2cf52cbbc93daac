"""The server with a model of latents and text: the same images as the pipeline's, at any size that the model makes."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from ddim_edge.images.decode import to_control, to_sample
from ddim_edge.networks.safety_checker import UnsafeWarning
from ddim_edge.serving import Settings, create_app

from .conftest import Family, FamilyOf
from .test_families_against_diffusers import PROMPT

BODY = {"prompt": "a red cat", "negative_prompt": "blue", "seed": 5, "num_inference_steps": 2, "guidance_scale": 3.0}


@pytest.fixture(scope="module")
def family(family_of: FamilyOf) -> Family:
    return family_of("stable-diffusion")


@pytest.fixture(scope="module")
def client(family: Family) -> Iterator[TestClient]:
    with TestClient(create_app({"sd": family.bundle}, Settings())) as client:
        yield client


def pixels(item: dict[str, Any]) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))))


def wanted(family: Family, **changes: Any) -> Any:
    options = {"prompt": "a red cat", "negative_prompt": "blue", "seed": 5, "num_steps": 2, "guidance_scale": 3.0}
    return family.pipeline.generate(**{**options, **changes}, batch_size=1).images


def test_a_prompt_gives_the_pipelines_image_at_the_wanted_size(client: TestClient, family: Family) -> None:
    usual = family.pipeline.bundle.image_shape()[1]
    answer = client.post("/v1/images/generations", json={**BODY, "n": 2}).json()
    for item, image in zip(answer["data"], wanted(family, num_images=2), strict=True):
        np.testing.assert_array_equal(pixels(item), image)
    body = {**BODY, "size": f"{2 * usual}x{usual}", "prompt_weights": True, "prompt": "a (red:1.3) cat"}
    wide = client.post("/v1/images/generations", json=body).json()
    same = wanted(family, width=2 * usual, height=usual, prompt="a (red:1.3) cat", prompt_weights=True)
    np.testing.assert_array_equal(pixels(wide["data"][0]), same[0])
    assert wide["size"] == f"{2 * usual}x{usual}"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_wrong_weights_are_refused_and_not_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture, field: str, stream: bool
) -> None:
    body = {**BODY, field: "a (secret:1..2) cat", "prompt_weights": True, "stream": stream}
    answer = client.post("/v1/images/generations", json=body)
    assert (answer.status_code, "1..2" in answer.json()["error"]["message"]) == (400, True)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert "secret" not in caplog.text
    assert "1..2" not in caplog.text


def test_previews_of_latents_are_decoded(client: TestClient) -> None:
    body = {**BODY, "num_inference_steps": 4, "stream": True, "partial_images": 1}
    text = client.post("/v1/images/generations", json=body).text
    assert text.count("image_generation.partial_image") == 2  # the event's name, and its type in the data
    job = client.post("/v1/jobs", json=BODY).json()
    assert job["model"] == "sd"


def test_an_edit_changes_a_picture_by_a_prompt(client: TestClient, family: Family) -> None:
    usual = family.pipeline.bundle.image_shape()[1]
    buffer = io.BytesIO()
    Image.new("RGB", (usual + 7, usual), (200, 30, 30)).save(buffer, "PNG")
    data = {"prompt": "a cat", "num_inference_steps": "4", "seed": "3", "strength": "0.5"}
    answer = client.post("/v1/images/edits", files={"image": buffer.getvalue()}, data=data)
    assert answer.status_code == 200, answer.text
    assert pixels(answer.json()["data"][0]).shape == (usual, usual, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": "33x32"}, "use"),
        ({"size": "9999x9999"}, "more than 4 times"),
        ({"size": "large"}, "WIDTHxHEIGHT"),
        ({"labels": ["cat"], "prompt": ""}, "use prompt"),
        ({"guidance_scale": 1.0}, "negative_prompt"),
    ],
)
def test_what_a_model_of_text_cannot_do_is_refused(client: TestClient, change: dict[str, Any], words: str) -> None:
    answer = client.post("/v1/images/generations", json={**BODY, **change})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_the_model_says_that_it_reads_text(client: TestClient) -> None:
    extension = client.get("/v1/models/sd").json()["ddim_edge"]
    assert (extension["text"], extension["negative_prompt"], extension["guidance_scale"]) == (True, True, 7.5)


def test_an_unsafe_image_is_black_and_said_to_be(family_of: FamilyOf) -> None:
    checked = family_of("checked")
    with pytest.warns(UnsafeWarning):
        wanted = checked.pipeline.generate(prompt=PROMPT, num_images=6, num_steps=2, guidance_scale=4.0)
    assert set(wanted.is_safe or ()) == {True, False}
    body = {"prompt": PROMPT, "n": 6, "seed": 0, "num_inference_steps": 2, "guidance_scale": 4.0}
    with TestClient(create_app({"checked": checked.bundle}, Settings())) as client:
        items = client.post("/v1/images/generations", json=body).json()["data"]
    assert tuple(item["is_safe"] for item in items) == wanted.is_safe
    for item, image in zip(items, wanted.images, strict=True):
        np.testing.assert_array_equal(pixels(item), image)


def test_the_picture_of_a_model_that_takes_one_is_the_edits_image(family_of: FamilyOf) -> None:
    edited = family_of("instruct-pix2pix")
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(buffer, "PNG")
    data = {"prompt": "a cat", "num_inference_steps": "2", "seed": "3", "guidance_scale": "4"}
    red = to_sample(np.full((32, 32, 3), (200, 30, 30), np.uint8))
    with TestClient(create_app({"edited": edited.bundle}, Settings())) as client:
        for scale in (1.5, 2.0):
            form = {**data, "image_guidance_scale": str(scale)}
            answer = client.post("/v1/images/edits", files={"image": buffer.getvalue()}, data=form)
            assert answer.status_code == 200, answer.text
            options: dict[str, Any] = {"prompt": "a cat", "num_steps": 2, "seed": 3, "guidance_scale": 4.0}
            same = edited.pipeline.generate(**options, images=red, image_guidance_scale=scale, batch_size=1)
            np.testing.assert_array_equal(pixels(answer.json()["data"][0]), same.images[0])
        both = {"image": buffer.getvalue(), "mask": buffer.getvalue()}
        refused = client.post("/v1/images/edits", files=both, data=data)
        assert (refused.status_code, "takes a picture, and no mask" in refused.text) == (400, True)
        missing = client.post("/v1/images/generations", json={"prompt": "a cat"})
        assert (missing.status_code, "takes a picture beside the sample" in missing.text) == (400, True)


def test_controlnets_take_their_images_from_the_form(family_of: FamilyOf) -> None:
    controlled = family_of("controlled")
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(buffer, "PNG")
    red = to_control(np.full((32, 32, 3), (200, 30, 30), np.uint8))
    data = {"prompt": "a cat", "num_inference_steps": "2", "seed": "3", "control_scale": ["0.5", "1"]}
    files = {"control_image": buffer.getvalue(), "control_image_1": buffer.getvalue()}
    with TestClient(create_app({"controlled": controlled.bundle}, Settings())) as client:
        answer = client.post("/v1/images/edits", files=files, data=data)
        assert answer.status_code == 200, answer.text
        options: dict[str, Any] = {"prompt": "a cat", "num_steps": 2, "seed": 3, "control_scale": [0.5, 1.0]}
        same = controlled.pipeline.generate(**options, control_images=[red, red], batch_size=1)
        np.testing.assert_array_equal(pixels(answer.json()["data"][0]), same.images[0])
        one = client.post("/v1/images/edits", files={"control_image": buffer.getvalue()}, data=data)
        assert (one.status_code, "the model has 2 ControlNets, not 1" in one.text) == (400, True)
        none = client.post("/v1/images/generations", json={"prompt": "a cat"})
        assert (none.status_code, "which needs an image" in none.text) == (400, True)
