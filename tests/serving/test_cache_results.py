"""``--cache-results``: a request that is repeated is answered without a network call, byte for byte."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from ddim_edge.images.encode import png_bytes
from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.api_keys import ApiKeys
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.serving.live import wait_until

PATH = "/v1/images/generations"
CAT = {"prompt": "cat", "num_inference_steps": 3, "seed": 1}


@pytest.fixture
def client(tiny_bundle: Path) -> Iterator[TestClient]:
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(cache_results="1MB"))) as client:
        yield client


def value(client: TestClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def made(client: TestClient) -> float:
    return value(client, "ddim_edge_images_total")


def post(client: TestClient, **body: Any) -> tuple[Any, str]:
    """The images, and the header X-Cache."""
    answer = client.post(PATH, json={**CAT, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"], answer.headers["X-Cache"]


@pytest.mark.parametrize(
    "body", [{}, {"n": 3}, {"output_format": "webp", "output_compression": 5}, {"output_format": "jpeg"}]
)
def test_a_repeated_request(client: TestClient, body: dict[str, Any]) -> None:
    first, miss = post(client, **body)
    again, hit = post(client, **body)
    assert (again, miss, hit) == (first, "miss", "hit")
    assert made(client) == len(first)
    assert value(client, 'ddim_edge_result_cache_total{result="hit"}') == 1
    assert value(client, 'ddim_edge_result_cache_total{result="miss"}') == 1
    assert value(client, "ddim_edge_result_cache_bytes") > 0


def test_another_request_is_made(client: TestClient) -> None:
    post(client)
    for body in (
        {"seed": 2},
        {"n": 2},
        {"num_inference_steps": 4},
        {"prompt": "dog"},
        {"sampler": "euler"},
        {"output_format": "webp"},
        {"output_format": "webp", "output_compression": 1},
    ):
        assert post(client, **body)[1] == "miss", body
    assert post(client, output_compression=100)[1] == "hit"


def test_fewer_images_of_a_request_have_their_own_recipe(client: TestClient, tiny_bundle: Path) -> None:
    post(client, n=3, prompt="", labels=["cat"])
    (one,), hit = post(client, prompt="", labels=["cat"])
    with TestClient(create_app({"tiny": tiny_bundle})) as other:
        fresh = other.post(PATH, json={**CAT, "prompt": "", "labels": ["cat"]})
        assert "X-Cache" not in fresh.headers
        assert ([one], hit) == (fresh.json()["data"], "hit")


def test_a_request_without_a_seed_is_made_each_time_and_its_recipe_found(client: TestClient) -> None:
    (first,), _ = post(client, seed=None)
    assert post(client, seed=None)[1] == "miss"
    assert post(client, seed=first["ddim_edge"]["seed"]) == ([first], "hit")


def test_addresses_jobs_and_streams(client: TestClient) -> None:
    (image,), _ = post(client)
    (item,), hit = post(client, response_format="url")
    assert hit == "hit"
    contents = client.get(item["url"]).content
    job = client.post("/v1/jobs", json=CAT).json()["id"]
    wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "done")
    done = client.get(f"/v1/jobs/{job}").json()
    assert done["result"]["data"] == [image]
    assert done["progress"] == {"calls": 3, "total": 3}
    stream = client.post(PATH, json={**CAT, "stream": True})
    event = json.loads(stream.text.split("data: ")[1])
    assert (event["b64_json"], stream.headers["X-Cache"]) == (image["b64_json"], "hit")
    assert made(client) == 1
    assert b"ddim-edge" in contents
    partial = client.post(PATH, json={**CAT, "stream": True, "partial_images": 1})
    assert ("partial_image" in partial.text, made(client)) == (True, 2)


def test_an_edit_of_the_same_picture(client: TestClient) -> None:
    def edit(grey: int) -> str:
        picture = {"image": png_bytes(np.full((8, 8, 1), grey, np.uint8), {})}
        answer = client.post("/v1/images/edits", data={"prompt": "cat", "seed": "1"}, files=picture)
        assert answer.status_code == 200, answer.text
        return answer.headers["X-Cache"]

    assert [edit(9), edit(9), edit(90)] == ["miss", "hit", "miss"]


def test_other_weights_under_the_same_name(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny")
    with TestClient(create_app({"tiny": bundle}, Settings(cache_results="1MB"))) as client:
        post(client)
        graph = bundle / "unet" / "model.onnx"
        graph.write_bytes(tiny_model(nan_at=(10**6, 0)).SerializeToString())
        assert post(client)[1] == "miss"


def test_a_key_that_may_not_use_the_model(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text('[[keys]]\nname = "a"\nkey = "k"\n[[keys]]\nname = "b"\nkey = "l"\nmodels = ["other"]\n')
    settings = Settings(cache_results="1MB", api_keys=ApiKeys(file))
    with TestClient(create_app({"tiny": tiny_bundle}, settings)) as client:
        codes = [client.post(PATH, json=CAT, headers={"Authorization": f"Bearer {key}"}).status_code for key in "kkl"]
    assert codes == [200, 200, 403]


def test_a_size_that_is_none(invoke: Invoke) -> None:
    for size in ("0", "-1MB", "much"):
        assert invoke("serve", "no-such-model", "--cache-results", size).failed_with("cache_results", "2GB")
