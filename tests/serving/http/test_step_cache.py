"""The fields ``cache`` and ``cache_threshold``: in the recipe, in a job's progress, in the key of a kept result."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import ddim_edge
from ddim_edge.bundle.presets import write_preset
from ddim_edge.generation.requests.option_table import Options
from ddim_edge.serving.app import create_app
from ddim_edge.serving.settings import Settings

BODY = {"prompt": "cat", "sampler": "ddim", "num_inference_steps": 20, "seed": 3}
PATH = "/v1/images/generations"
CALLS = {"whole": 8, "cached": 12}


@pytest.fixture
def client(tiny_bundle: Path) -> Any:
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(cache_results=2**20))) as client:
        yield client


def test_the_recipe_has_them(client: TestClient) -> None:
    (made,) = client.post(PATH, json={**BODY, "cache": "forecast", "cache_threshold": 0.25}).json()["data"]
    assert (made["ddim_edge"]["cache"], made["ddim_edge"]["cache_threshold"]) == ("forecast:3", 0.25)
    (plain,) = client.post(PATH, json=BODY).json()["data"]
    assert "cache" not in plain["ddim_edge"]
    assert plain["b64_json"] != made["b64_json"]


def test_a_kept_result_is_of_the_same_cache_only(client: TestClient) -> None:
    def status(**fields: Any) -> str:
        return client.post(PATH, json={**BODY, **fields}).headers["X-Cache"]

    assert [status(), status(cache="forecast:3"), status(cache="forecast:2")] == ["miss"] * 3
    assert [status(cache="off"), status(cache="forecast"), status(cache="forecast:2")] == ["hit"] * 3


def test_an_image_tells_its_whole_and_cached_calls(client: TestClient) -> None:
    for body in ({**BODY, "cache": "forecast"}, {**BODY, "cache": "forecast"}, {**BODY, "cache": "forecast:1"}):
        (made,) = client.post(PATH, json=body).json()["data"]
        assert made["calls"] == ({"whole": 20, "cached": 0} if body["cache"] == "forecast:1" else CALLS)
    (plain,) = client.post(PATH, json=BODY).json()["data"]
    assert "calls" not in plain
    events = client.post(PATH, json={**BODY, "seed": 4, "cache": "forecast", "stream": True, "partial_images": 1})
    partial, completed = (json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: "))
    assert completed["calls"] == CALLS
    assert "calls" not in partial


def test_with_a_threshold_they_are_those_that_were_made_and_metrics_sum_them(deep_bundle: Path) -> None:
    options: Options = {"labels": ["cat", "dog"], "sampler": "ddim", "num_steps": 20, "num_images": 2}
    options["cache_threshold"] = 0.06
    pipeline, body = ddim_edge.load(deep_bundle), {"labels": ["cat", "dog"], "sampler": "ddim", "n": 2, "seed": 0}
    with TestClient(create_app({"deep": deep_bundle})) as client:
        wholes = []
        for kind in ("deep:5", "forecast:5"):
            options["cache"] = kind
            request = pipeline.request(**options)
            whole = [job.whole_calls for end in pipeline.run(request) if end.images is not None for job in end.jobs]
            cached = {"cache": kind, "cache_threshold": 0.06, "num_inference_steps": 20}
            data = client.post(PATH, json={**body, **cached}).json()["data"]
            assert [image["calls"] for image in data] == [{"whole": each, "cached": 20 - each} for each in whole]
            wholes += whole
        text = client.get("/metrics").text
    assert len(set(wholes)) > 1
    assert f'ddim_edge_image_calls_total{{kind="whole",model="deep"}} {sum(wholes):.1f}' in text
    assert f'ddim_edge_image_calls_total{{kind="cached",model="deep"}} {80 - sum(wholes):.1f}' in text


def test_a_jobs_total_is_the_calls_that_are_made(client: TestClient) -> None:
    for fields, total in (({"cache": "forecast:3"}, 8), ({}, 20)):
        path = client.post("/v1/jobs", json={**BODY, "seed": 9, **fields}).headers["Location"]
        while (job := client.get(path).json())["status"] not in ("done", "failed"):
            pass
        assert job["progress"] == {"calls": total, "total": total}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cache": "forecast:0"}, "N must be from 1 to 1000"),
        ({"cache": "some"}, "cache must be off, forecast"),
        ({"cache": "forecast:30"}, "and this run makes 20"),
        ({"cache": "deep"}, "export the model with --step-cache"),
        ({"cache_threshold": 0.5}, "cache_threshold needs a cache"),
        ({"cache": 3}, "cache"),
        ({"cache": "forecast", "cache_threshold": -1}, "cache_threshold"),
    ],
)
def test_bad_fields_are_400(client: TestClient, fields: dict[str, Any], words: str) -> None:
    answer = client.post(PATH, json={**BODY, **fields})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_a_preset_is_a_field(client: TestClient, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "tuned")
    write_preset(folder, "fast", {"cache": "forecast:2"}, {})
    with TestClient(create_app({"tuned": folder}, Settings())) as tuned:
        (made,) = tuned.post(PATH, json={**BODY, "preset": "fast"}).json()["data"]
        assert made["ddim_edge"]["cache"] == "forecast:2"
        answer = tuned.post(PATH, json={**BODY, "preset": "slow"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "preset 'slow' is unknown. Valid: fast.")
    assert "has no presets" in client.post(PATH, json={**BODY, "preset": "fast"}).json()["error"]["message"]
