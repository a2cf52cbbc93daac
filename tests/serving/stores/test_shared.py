"""Two servers with one store answer for each other."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.api_keys import ApiKeys
from tests.serving.gate import Gate
from tests.serving.live import wait_until

CAT = {"prompt": "cat", "num_inference_steps": 5, "seed": 1}
Start = Callable[..., FastAPI]


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'store.db'}"
    address: str = request.getfixturevalue("redis_url")
    return address


@pytest.fixture
def start_other(start: Start, store: str) -> Start:
    """A server that leaves the jobs to the first one."""
    return lambda **options: start(make_jobs=store.startswith("sqlite"), **options)


@pytest.fixture
def start(tiny_bundle: Path, store: str) -> Start:
    return lambda **options: create_app({"tiny": tiny_bundle}, Settings(store=store, max_rows=1, **options))


def ended(client: TestClient, path: str) -> dict[str, Any]:
    """The job, when it has ended."""
    wait_until(lambda: client.get(path).json()["status"] not in ("queued", "running"))
    found: dict[str, Any] = client.get(path).json()
    return found


def test_an_image_of_one_server_is_fetched_from_the_other(start: Start) -> None:
    with TestClient(start()) as one, TestClient(start()) as other:
        made = one.post("/v1/images/generations", json={**CAT, "n": 2, "response_format": "url"}).json()["data"]
        for item in made:
            assert one.get(item["url"]).content == other.get(item["url"]).content
            assert other.get(item["url"]).headers["Content-Type"] == "image/png"
        assert other.get("/images/unknown.png").status_code == 404


def test_a_job_of_one_server_is_answered_by_the_other(start: Start) -> None:
    with TestClient(start()) as one, TestClient(start()) as other:
        path = one.post("/v1/jobs", json=CAT).headers["Location"]
        job = ended(other, path)
        assert (job["status"], job["progress"]) == ("done", {"calls": 5, "total": 5})
        assert job == one.get(path).json()
        assert job["result"]["data"] == one.post("/v1/images/generations", json=CAT).json()["data"]
        assert other.delete(path).status_code == 200
        assert one.get(path).status_code == other.get(path).status_code == 404


def test_a_job_without_a_seed_is_stored_with_one(start: Start) -> None:
    with TestClient(start()) as one, TestClient(start()) as other:
        path = one.post("/v1/jobs", json={"prompt": "cat", "num_inference_steps": 2}).headers["Location"]
        seed = ended(other, path)["result"]["data"][0]["ddim_edge"]["seed"]
        assert 0 <= seed < 2**31


def test_a_job_is_cancelled_through_the_other_server(start: Start, start_other: Start) -> None:
    app, others = start(), start_other()
    gate = Gate(app.state.engine, "tiny")
    with TestClient(app) as one, TestClient(others) as other:
        path = one.post("/v1/jobs", json=CAT).headers["Location"]
        gate.wait()
        (submission,) = app.state.engine.scheduler.submissions()
        assert other.delete(path).json()["status"] == "cancelled"
        wait_until(lambda: submission.cancelled)
        gate.let(5)
        wait_until(lambda: not app.state.jobs.running)
        for client in (one, other):
            assert client.get(path).json()["status"] == "cancelled"


def test_a_job_for_a_model_that_the_key_may_not_use(tiny_bundle: Path, store: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text('[[keys]]\nname = "a"\nkey = "k"\nmodels = ["other"]\n')
    app = create_app({"tiny": tiny_bundle}, Settings(store=store, api_keys=ApiKeys(file)))
    with TestClient(app, headers={"Authorization": "Bearer k"}) as client:
        assert client.post("/v1/jobs", json=CAT).json()["error"]["code"] == "model_not_allowed"


@pytest.mark.parametrize(
    ("limit", "says"),
    [("max_requests = 1", "max_requests 1"), ("max_queued_work = 9", "5 rows of network calls are queued")],
)
def test_a_limit_of_a_key_counts_the_jobs_of_all_servers(
    start: Start, start_other: Start, tmp_path: Path, limit: str, says: str
) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[[keys]]\nname = "a"\nkey = "ka"\n{limit}\n[[keys]]\nname = "b"\nkey = "kb"\n')
    app = start(api_keys=ApiKeys(file))
    gate = Gate(app.state.engine, "tiny")
    alice, bob = ({"Authorization": f"Bearer {key}"} for key in ("ka", "kb"))
    with TestClient(app, headers=alice) as one, TestClient(start_other(api_keys=ApiKeys(file))) as other:
        path = one.post("/v1/jobs", json=CAT).headers["Location"]
        refused = other.post("/v1/jobs", json=CAT, headers=alice)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "key_limit")
        assert says in refused.json()["error"]["message"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert other.post("/v1/jobs", json=CAT, headers=bob).status_code == 202
        gate.let(100)
        ended(one, path)
        assert other.post("/v1/jobs", json=CAT, headers=alice).status_code == 202


def test_a_client_without_a_key_has_so_many_jobs(start: Start, start_other: Start) -> None:
    app = start(max_per_client=1)
    gate = Gate(app.state.engine, "tiny")
    with TestClient(app) as one, TestClient(start_other(max_per_client=1)) as other:
        assert one.post("/v1/jobs", json=CAT).status_code == 202
        refused = other.post("/v1/jobs", json=CAT).json()["error"]
        assert (refused["code"], "1 of your jobs have not ended" in refused["message"]) == ("queue_full", True)
        gate.let(100)


def images_made(*clients: TestClient) -> float:
    lines = [line for client in clients for line in client.get("/metrics").text.splitlines()]
    return sum(float(line.split()[-1]) for line in lines if line.startswith("ddim_edge_images_total"))


KEY = {"Idempotency-Key": "order-17"}


@pytest.mark.parametrize("extra", [{}, {"response_format": "url"}, {"stream": True, "partial_images": 1}])
def test_a_request_that_is_sent_again_to_the_other_server(start: Start, extra: dict[str, Any]) -> None:
    body = {"prompt": "cat", "num_inference_steps": 3, **extra}  # without a seed: another image would differ
    with TestClient(start()) as one, TestClient(start()) as other:
        first, again = (client.post("/v1/images/generations", json=body, headers=KEY) for client in (one, other))
        assert (first.status_code, again.status_code) == (200, 200)
        assert (first.content, first.headers["Content-Type"]) == (again.content, again.headers["Content-Type"])
        assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
        assert images_made(one, other) == 1
        assert other.post("/v1/images/generations", json=CAT, headers=KEY).status_code == 422


def test_a_job_that_is_sent_again_to_the_other_server(start: Start) -> None:
    with TestClient(start()) as one, TestClient(start()) as other:
        first, again = (client.post("/v1/jobs", json=CAT, headers=KEY) for client in (one, other))
        assert first.headers["Location"] == again.headers["Location"]
        assert ended(other, again.headers["Location"])["status"] == "done"
        assert images_made(one, other) == 1


def test_a_request_that_the_other_server_is_making(start: Start) -> None:
    app = start()
    gate = Gate(app.state.engine, "tiny")
    with TestClient(app) as one, TestClient(start()) as other, ThreadPoolExecutor(1) as threads:
        first = threads.submit(one.post, "/v1/images/generations", json=CAT, headers=KEY)
        gate.wait()
        in_use = other.post("/v1/images/generations", json=CAT, headers=KEY)
        assert (in_use.status_code, in_use.headers["Retry-After"]) == (409, "1")
        gate.let(5)
        made = first.result(60).content
        assert other.post("/v1/images/generations", json=CAT, headers=KEY).content == made
        assert images_made(one, other) == 1


def test_an_error_is_not_kept_for_the_other_server(start: Start) -> None:
    with TestClient(start()) as one, TestClient(start()) as other:
        wrong = {**CAT, "prompt": "dgo"}
        assert one.post("/v1/images/generations", json=wrong, headers=KEY).status_code == 400
        assert other.post("/v1/images/generations", json=CAT, headers=KEY).status_code == 200
