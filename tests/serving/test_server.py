"""What the server promises, on tiny bundles and the bundled model, in this process."""

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import ddim_edge
from ddim_edge.images.encode import read_recipe
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.scheduling.engine_thread import EngineThread
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.serving.answers import events_of, picture, pixels, refused


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, plain_bundle: Path) -> Iterator[TestClient]:
    models = {"tiny": tiny_bundle, "plain": plain_bundle}
    with TestClient(create_app(models, Settings(max_models=1, max_body_bytes=100_000, max_steps=40))) as client:
        yield client


def test_images_are_those_of_the_pipeline_and_their_recipe_makes_them_again(tmp_path: Path) -> None:
    body = {"prompt": "sneaker, bag", "n": 2, "seed": 7, "num_inference_steps": 3, "guidance_scale": 2.0}
    with TestClient(create_app(["fashion-mnist"], Settings(max_rows=2))) as client:
        answer = client.post("/v1/images/generations", json=body)
    assert answer.status_code == 200
    wanted = ddim_edge.load("fashion-mnist", "cpu").generate(
        labels=["sneaker", "bag"], num_images=2, seed=7, num_steps=3, guidance_scale=2.0, batch_size=1
    )
    for item, image in zip(answer.json()["data"], wanted.images, strict=True):
        np.testing.assert_array_equal(pixels(item["b64_json"]), image[:, :, 0])
    second = answer.json()["data"][1]
    (tmp_path / "second.png").write_bytes(base64.b64decode(second["b64_json"]))
    recipe = read_recipe(tmp_path / "second.png")
    assert recipe == {**wanted.recipe, "index": 1} == second["ddim_edge"]


def test_streaming_sends_partial_images_and_then_the_whole_one(client: TestClient) -> None:
    body = {"prompt": "cat", "seed": 1, "num_inference_steps": 8, "stream": True, "partial_images": 3}
    text = client.post("/v1/images/generations", json=body).text
    events = events_of(text)
    kinds = [event["type"] for event in events]
    assert kinds == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    assert [event["partial_image_index"] for event in events[:3]] == [0, 1, 2]
    whole = client.post("/v1/images/generations", json={**body, "stream": False, "partial_images": 0}).json()
    assert events[-1]["b64_json"] == whole["data"][0]["b64_json"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"prompt": "kat"}, 400, "Did you mean 'cat'"),
        ({"prompt": "cat", "n": 11}, 400, "n must be"),
        ({"prompt": "cat", "size": "512x512"}, 400, "8x8"),
        ({"prompt": "cat", "response_format": "url", "stream": True}, 400, "b64_json"),
        ({"prompt": "cat", "negative_prompt": "dog"}, 400, "no text"),
        ({"prompt": "cat", "num_inference_steps": 101}, 400, "at most 40"),
        ({"prompt": "cat", "sampler": "ddpm", "num_inference_steps": None}, 400, "at most 40, not 50"),
        ({"prompt": "cat", "partial_images": 2}, 400, "stream"),
        ({"prompt": "cat", "colour": "red"}, 400, "colour: unknown option"),
        ({"prompt": "cat", "num_steps": 3}, 400, "num_steps: unknown option; use num_inference_steps"),
        ({"prompt": "cat", "num_images_per_prompt": 3}, 400, "unknown option; use n"),
        ({"prompt": "cat", "scheduler": "ddim"}, 400, "scheduler: unknown option; use sampler"),
        ({"prompt": "cat", "width": 8}, 400, "width: unknown option; use size"),
        ({"prompt": "cat", "guidance_scal": 2}, 400, "unknown option; did you mean guidance_scale?"),
        ({"prompt": "cat", "quality": 3}, 400, "quality must be"),
        ({"prompt": "cat", "sampler": "ddimm"}, 400, "Did you mean 'ddim'"),
        ({"prompt": "cat", "labels": ["dog"]}, 400, "already"),
        ({"prompt": "cat", "model": "/etc/passwd"}, 404, "unknown"),
        ({"prompt": "cat", "model": "plain"}, 400, "no classes"),
        ({"prompt": "cat", "output_compression": 10}, 400, "png is lossless"),
    ],
)
def test_what_cannot_be_is_refused_in_openais_shape(
    client: TestClient, body: dict[str, Any], status: int, words: str
) -> None:
    assert refused(client.post("/v1/images/generations", json=body), status, words)


@pytest.mark.parametrize("body", [b'{"\\ud800": 1}', b'{"\xed\xa0\x80": 1}'])
def test_an_option_whose_name_is_no_text_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/images/generations", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "\\ud800"


def test_fields_that_change_nothing_are_named_in_a_header(client: TestClient) -> None:
    plain = {"prompt": "cat", "num_inference_steps": 2, "seed": 1}
    ignored = {"quality": "hd", "style": "vivid", "background": "transparent", "input_fidelity": "high"}
    whole = client.post("/v1/images/generations", json={**plain, **ignored, "moderation": "low", "user": "me"})
    names = "quality, style, background, input_fidelity, moderation, user"
    assert (whole.status_code, whole.headers["X-Ignored-Fields"]) == (200, names)
    alone = client.post("/v1/images/generations", json=plain)
    assert whole.json()["data"] == alone.json()["data"]
    assert "X-Ignored-Fields" not in alone.headers
    for path, body in (("/v1/images/generations", {**plain, "stream": True}), ("/v1/jobs", plain)):
        answer = client.post(path, json={**body, "quality": "low"})
        assert answer.headers["X-Ignored-Fields"] == "quality"
    files = {"image": ("a.png", picture((8, 8)), "image/png")}
    for path in ("edits", "variations"):
        form = {"num_inference_steps": "2", "background": "opaque"}
        assert client.post(f"/v1/images/{path}", data=form, files=files).headers["X-Ignored-Fields"] == "background"


def test_other_refusals_have_the_same_shape(client: TestClient) -> None:
    assert refused(client.get("/nowhere"), 404)
    assert refused(client.get("/v1/images/generations"), 405)
    assert client.get("/v1/images/generations").headers["Allow"] == "POST"
    assert refused(client.post("/v1/images/generations", content=b"{"), 400)
    assert refused(client.post("/v1/images/generations", content=b" " * 100_001), 413, "100000")
    chunks = (b" " * 60_000 for _ in range(2))
    assert refused(client.post("/v1/images/generations", content=chunks), 413, "100000")


def test_formats(client: TestClient) -> None:
    for name in ("png", "jpeg", "webp"):
        body = {"prompt": "dog", "num_inference_steps": 2, "output_format": name, "seed": 1}
        (item,) = client.post("/v1/images/generations", json=body).json()["data"]
        assert Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))).format == name.upper()


def test_an_edit_keeps_what_the_mask_does_not_show(client: TestClient) -> None:
    mask = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 8, 4))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    files = {"image": picture((8, 8), "L"), "mask": buffer.getvalue()}
    data = {"prompt": "cat", "n": "1", "num_inference_steps": "4", "seed": "3"}
    answer = client.post("/v1/images/edits", files=files, data=data)
    assert answer.status_code == 200, answer.text
    image = pixels(answer.json()["data"][0]["b64_json"])
    assert (image[4:] == 200).all()
    assert (image[:4] != 200).any()
    files["mask"] = picture((9, 9), "RGBA", (0, 0, 0, 0))
    assert refused(client.post("/v1/images/edits", files=files, data=data), 400, "9x9")


def test_an_edit_can_be_streamed(client: TestClient) -> None:
    files = {"image": picture((8, 8), "L")}
    data = {"prompt": "cat", "num_inference_steps": "8", "seed": "3", "stream": "true", "partial_images": "1"}
    events = events_of(client.post("/v1/images/edits", files=files, data=data).text)
    assert [event["type"] for event in events] == ["image_edit.partial_image", "image_edit.completed"]


def test_variations_and_uploads_that_are_refused(client: TestClient) -> None:
    data = {"model": "plain", "num_inference_steps": "4", "seed": "3"}
    answer = client.post("/v1/images/variations", files={"image": picture((20, 16))}, data=data)
    assert pixels(answer.json()["data"][0]["b64_json"]).shape == (8, 8, 3)
    assert refused(client.post("/v1/images/variations", files={"image": b"GIF89a"}, data=data), 400, "not a picture")
    assert refused(client.post("/v1/images/variations", files={"image": picture((5000, 5000))}, data=data), 400)
    assert refused(client.post("/v1/images/variations", data=data), 400, "image")


def test_models_health_metrics_and_headers(client: TestClient) -> None:
    models = client.get("/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["tiny", "plain"]
    assert models[0]["ddim_edge"]["size"] == [8, 8]
    assert models[0]["ddim_edge"]["guidance"] is True
    assert client.get("/v1/models/plain").json()["ddim_edge"]["labels"] == []
    assert refused(client.get("/v1/models/tinny"), 404, "Did you mean 'tiny'")
    for path in (
        "/health/live",
        "/health/ready",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/tiny/ready",
        "/v2",
    ):
        assert client.get(path).status_code == 200
    answer = client.get("/metrics", headers={"X-Request-Id": "abc"})
    assert "ddim_edge_queue_depth 0.0" in answer.text
    assert answer.headers["X-Request-Id"] == "abc"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_is_whole_by_itself(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text)


def test_a_model_that_fails_fails_alone(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "ill", tiny_model(nan_at=(500, 2)))
    with TestClient(create_app({"ill": folder})) as client:
        body = {"num_inference_steps": 4}
        answer = client.post("/v1/images/generations", json={**body, "labels": [2]})
        assert refused(answer, 500, "unet returned NaN")
        assert client.post("/v1/images/generations", json={**body, "labels": [1]}).status_code == 200


def test_a_dead_engine_is_red(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        engine_thread: EngineThread = client.app.state.engine.engine_thread  # type: ignore[attr-defined]
        told = threading.Event()
        engine_thread.on_death = told.set
        monkeypatch.setattr(engine_thread, "turn", lambda: 1 / 0)
        assert refused(client.post("/v1/images/generations", json={"prompt": "cat"}), 503)
        assert told.wait(10)
        assert client.get("/health").status_code == 503
        assert refused(client.post("/v1/images/generations", json={"prompt": "cat"}), 503)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["prompt", "model", "n", "size", "labels", "seed", "sampler", "eta", "stream"]) | st.text()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(names, values, max_size=4).map(json.dumps) | st.binary(max_size=40))
def test_malformed_bodies_are_never_a_fault_of_ours(client: TestClient, body: str | bytes) -> None:
    answer = client.post("/v1/images/generations", content=body)
    assert answer.status_code < 500, answer.text
    assert answer.status_code == 200 or set(answer.json()) == {"error"}
