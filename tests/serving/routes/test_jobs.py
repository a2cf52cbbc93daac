"""Jobs that outlive their connection, and images that are fetched by an address."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from ddim_edge.serving import Settings, create_app
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.serving.gate import Gate
from tests.serving.live import wait_until

CAT = {"prompt": "cat", "num_inference_steps": 5, "seed": 1}


def ended(client: TestClient, path: str) -> dict[str, Any]:
    """The job, when it has ended."""
    while (job := client.get(path).json())["status"] in ("queued", "running"):
        pass
    found: dict[str, Any] = job
    return found


def started(bundle: Path, **options: Any) -> tuple[FastAPI, list[float]]:
    now = [0.0]
    return create_app({bundle.name: bundle}, Settings(**options), clock=lambda: now[0]), now


def test_a_job_runs_and_is_kept_for_a_time(tiny_bundle: Path) -> None:
    app, now = started(tiny_bundle, keep_s=10.0)
    with TestClient(app) as client:
        made = client.post("/v1/jobs", json={**CAT, "n": 2})
        assert made.status_code == 202
        job = ended(client, made.headers["Location"])
        assert (job["status"], job["progress"]) == ("done", {"calls": 10, "total": 10})
        direct = client.post("/v1/images/generations", json={**CAT, "n": 2}).json()
        assert job["result"]["data"] == direct["data"]
        now[0] = 9.9
        assert client.get(made.headers["Location"]).status_code == 200
        now[0] = 10.0
        assert client.get(made.headers["Location"]).status_code == 404


def test_a_job_shows_where_it_is_and_can_be_stopped(tiny_bundle: Path) -> None:
    app, _ = started(tiny_bundle, max_rows=1)
    gate = Gate(app.state.engine, "tiny")
    with TestClient(app) as client:
        path = client.post("/v1/jobs", json=CAT).headers["Location"]
        gate.wait()
        waits = client.post("/v1/jobs", json=CAT).headers["Location"]
        assert client.get(waits).json()["status"] == "queued"
        gate.let(2)
        gate.wait()
        gate.wait()
        portal = client.portal
        assert portal is not None
        looked = portal.start_task_soon(_get, app, path)
        wait_until(lambda: app.state.engine.engine_thread._peeks)
        gate.let()
        job = looked.result(60)
        assert (job["status"], job["progress"]["total"]) == ("running", 5)
        assert job["progress"]["calls"] == 2
        (preview,) = job["previews"]
        assert Image.open(io.BytesIO(base64.b64decode(preview))).size == (8, 8)
        gate.wait()
        submission = app.state.engine.scheduler.submissions()[-1]
        stopping = portal.start_task_soon(_delete, app, path)
        wait_until(lambda: submission.cancelled)
        gate.let(10)
        assert stopping.result(60)["status"] == "cancelled"
        assert ended(client, waits)["status"] == "done"
        assert client.get(path).json()["status"] == "cancelled"
        assert client.delete(path).status_code == 200
        assert client.get(path).status_code == 404
        assert client.delete(path).status_code == 404


async def _get(app: FastAPI, path: str) -> Any:
    return await _ask(app, "GET", path + "?preview=true")


async def _delete(app: FastAPI, path: str) -> Any:
    return await _ask(app, "DELETE", path)


async def _ask(app: FastAPI, method: str, path: str) -> Any:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://testserver") as client:
        return (await client.request(method, path)).json()


def test_a_job_that_fails_says_so(tmp_path: Path) -> None:
    app, _ = started(write_bundle(tmp_path / "ill", tiny_model(nan_at=(800, 2))))
    with TestClient(app) as client:
        path = client.post("/v1/jobs", json={**CAT, "prompt": "", "labels": [2]}).headers["Location"]
        job = ended(client, path)
        assert (job["status"], job["error"]["code"], job["result"]) == ("failed", "model_failed", None)
        assert "unet returned NaN" in job["error"]["message"]


def test_only_so_many_ended_jobs_are_kept(tiny_bundle: Path) -> None:
    app, _ = started(tiny_bundle, keep_jobs=2)
    with TestClient(app) as client:
        paths = []
        for _ in range(4):
            paths.append(client.post("/v1/jobs", json=CAT).headers["Location"])
            ended(client, paths[-1])
        assert [client.get(path).status_code for path in paths] == [404, 404, 200, 200]


def test_a_job_that_does_not_fit_is_refused_at_once(tiny_bundle: Path) -> None:
    app, _ = started(tiny_bundle)
    with TestClient(app) as client:
        answer = client.post("/v1/jobs", json={"prompt": "kat"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_an_image_by_its_address(tiny_bundle: Path) -> None:
    app, now = started(tiny_bundle, keep_s=10.0, keep_images=3, api_key="secret")
    with TestClient(app, headers={"Authorization": "Bearer secret"}) as client:
        body = {**CAT, "n": 2}
        urls = [
            item["url"]
            for item in client.post("/v1/images/generations", json={**body, "response_format": "url"}).json()["data"]
        ]
        given = client.post("/v1/images/generations", json=body).json()["data"]
        del client.headers["Authorization"]
        for url, item in zip(urls, given, strict=True):
            answer = client.get(url)
            assert answer.headers["Content-Type"] == "image/png"
            np.testing.assert_array_equal(_pixels(answer.content), _pixels(base64.b64decode(item["b64_json"])))
        now[0] = 10.0
        assert client.get(urls[0]).status_code == 404


def test_only_so_many_images_are_kept_and_no_name_leads_elsewhere(tiny_bundle: Path) -> None:
    app, _ = started(tiny_bundle, keep_images=3)
    with TestClient(app) as client:
        body = {**CAT, "n": 2, "response_format": "url", "output_format": "webp"}
        urls = [
            item["url"] for _ in range(2) for item in client.post("/v1/images/generations", json=body).json()["data"]
        ]
        assert [client.get(url).status_code for url in urls] == [404, 200, 200, 200]
        assert client.get(urls[-1]).headers["Content-Type"] == "image/webp"
        for name in ("..%2f..%2fetc%2fpasswd", "unet", urls[-1].rpartition("/")[2][:-6]):
            assert client.get(f"/images/{name}").status_code == 404


def _pixels(contents: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(contents)))


@pytest.mark.parametrize("path", ["/v1/jobs/nothing", "/v1/jobs/..%2f..%2fetc"])
def test_a_job_that_is_not_there(tiny_bundle: Path, path: str) -> None:
    app, _ = started(tiny_bundle)
    with TestClient(app) as client:
        assert client.get(path).status_code == client.delete(path).status_code == 404


def test_results_are_bounded_in_bytes_and_the_newest_is_kept(tiny_bundle: Path) -> None:
    app, _ = started(tiny_bundle, keep_bytes=1)
    with TestClient(app) as client:
        jobs = []
        for _ in range(2):
            jobs.append(client.post("/v1/jobs", json=CAT).headers["Location"])
            ended(client, jobs[-1])
        assert [client.get(path).status_code for path in jobs] == [404, 200]
        body = {**CAT, "n": 3, "response_format": "url"}
        urls = [item["url"] for item in client.post("/v1/images/generations", json=body).json()["data"]]
        assert [client.get(url).status_code for url in urls] == [404, 404, 200]
