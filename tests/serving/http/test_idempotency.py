"""Requests that are sent again with the same Idempotency-Key."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.errors import StoreFailed
from ddim_edge.serving.stores.memory import MemoryAnswers
from tests.serving.gate import Gate

PATH = "/v1/images/generations"
CAT = {"prompt": "cat", "num_inference_steps": 3}
KEY = {"Idempotency-Key": "order-17"}


def images_made(client: TestClient) -> str:
    lines = client.get("/metrics").text.splitlines()
    return next((line for line in lines if line.startswith("ddim_edge_images_total")), "none")


@pytest.mark.parametrize("extra", [{}, {"response_format": "url"}, {"stream": True, "partial_images": 1}])
def test_the_same_answer_without_a_network_call(tiny_bundle: Path, extra: dict[str, Any]) -> None:
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        first, again = (client.post(PATH, json={**CAT, **extra}, headers=KEY) for _ in range(2))
        assert first.status_code == again.status_code == 200
        assert first.content == again.content  # a seed was not given, so another image would differ
        assert first.headers["content-type"] == again.headers["content-type"]
        assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
        assert first.headers["x-request-id"] != again.headers["x-request-id"]
        assert images_made(client).endswith(" 1.0")
        other = client.post(PATH, json={**CAT, **extra}, headers={"Idempotency-Key": "order-18"})
        assert other.content != first.content


def test_the_same_job(tiny_bundle: Path) -> None:
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        first, again = (client.post("/v1/jobs", json=CAT, headers=KEY) for _ in range(2))
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.headers["Location"] == again.headers["Location"]


def test_another_body_and_one_that_is_not_answered(tiny_bundle: Path) -> None:
    app = create_app({"tiny": tiny_bundle})
    gate = Gate(app.state.engine, "tiny")
    with TestClient(app) as client:
        portal = client.portal
        assert portal is not None
        first = portal.start_task_soon(_post, app)
        gate.wait()
        in_use = client.post(PATH, json=CAT, headers=KEY)
        assert (in_use.status_code, in_use.json()["error"]["code"]) == (409, "idempotency_key_in_use")
        assert in_use.headers["Retry-After"] == "1"
        reused = client.post(PATH, json={**CAT, "n": 2}, headers=KEY)
        assert (reused.status_code, reused.json()["error"]["code"]) == (422, "idempotency_key_reused")
        gate.let(10)
        assert first.result(60) == 200
        assert client.post(PATH, json={**CAT, "n": 2}, headers=KEY).status_code == 422
        assert client.post("/v1/jobs", json=CAT, headers=KEY).status_code == 422


async def _post(app: Any) -> int:
    transport = httpx2.ASGITransport(app, client=("testclient", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.post(PATH, json=CAT, headers=KEY)).status_code


def test_an_error_is_not_kept(tiny_bundle: Path) -> None:
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        assert client.post(PATH, json={"prompt": "dgo"}, headers=KEY).status_code == 400
        assert client.post(PATH, json=CAT, headers=KEY).status_code == 200


def test_keys_are_of_a_client_and_expire(tiny_bundle: Path) -> None:
    now = [0.0]
    settings = Settings(api_key="one\ntwo", keep_s=10.0)
    with TestClient(create_app({"tiny": tiny_bundle}, settings, clock=lambda: now[0])) as client:

        def image(key: str) -> bytes:
            return client.post(PATH, json=CAT, headers={**KEY, "Authorization": f"Bearer {key}"}).content

        mine = image("one")
        assert image("two") != mine
        now[0] = 9.9
        assert image("one") == mine
        now[0] = 10.0
        assert image("one") != mine


def test_only_so_many_bytes_are_kept(tiny_bundle: Path) -> None:
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(keep_bytes=1))) as client:
        made = [client.post(PATH, json=CAT, headers={"Idempotency-Key": str(k)}).content for k in range(2)]
        assert client.post(PATH, json=CAT, headers={"Idempotency-Key": "1"}).content == made[1]
        assert client.post(PATH, json=CAT, headers={"Idempotency-Key": "0"}).content != made[0]


@pytest.mark.parametrize("key", ["", "x" * 256, "\t"])
def test_a_key_that_is_none(tiny_bundle: Path, key: str) -> None:
    answer = TestClient(create_app({"tiny": tiny_bundle})).post(PATH, json=CAT, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")


def test_a_body_that_is_too_large(tiny_bundle: Path) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(max_json_bytes=100))
    answer = TestClient(app).post(PATH, content=iter([b" " * 101]), headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_store_that_fails(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreFailed("gone")

    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        monkeypatch.setattr(MemoryAnswers, "end", fail)
        assert client.post(PATH, json=CAT, headers=KEY).status_code == 200
        monkeypatch.setattr(MemoryAnswers, "begin", fail)
        refused = client.post(PATH, json=CAT, headers=KEY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_failed")
