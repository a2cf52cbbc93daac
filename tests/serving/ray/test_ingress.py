"""The ingress in front of several models, with fakes of Serve's handles."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.api_keys import ApiKeys
from ddim_edge.serving.ray.ingress import Forward, Ingress

from .fakes import FakeDeployment, of_a_model, of_messages
from .test_replica import CAT, PATH, bearer, written

PICTURE = (Path(__file__).parents[3] / "docs" / "emoji.png").read_bytes()
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
JSON = {**START, "headers": [(b"content-type", b"application/json")]}
END = {"type": "http.response.body", "body": b"{}"}
EVENT = {"type": "http.response.body", "body": b"event: a\ndata: 1\n\n", "more_body": True}


def ingress(models: dict[str, Path], deployments: dict[str, FakeDeployment], settings: Settings) -> TestClient:
    given: Any = deployments
    made = Ingress([f"{name}={folder}" for name, folder in models.items()], settings, given)
    return TestClient(made.__serve_build_asgi_app__(), base_url="http://127.0.0.1")


@pytest.fixture
def models(tiny_bundle: Path, plain_bundle: Path) -> dict[str, Path]:
    return {"tiny": tiny_bundle, "plain": plain_bundle}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=f"sqlite:{tmp_path / 'store.db'}")


@pytest.fixture
def deployments(models: dict[str, Path], settings: Settings) -> dict[str, FakeDeployment]:
    return {name: of_a_model(f"{name}={folder}", settings) for name, folder in models.items()}


@pytest.fixture
def client(models: dict[str, Path], settings: Settings, deployments: dict[str, FakeDeployment]) -> Iterator[TestClient]:
    with ingress(models, deployments, settings) as client:
        yield client


@pytest.fixture
def server(models: dict[str, Path]) -> Iterator[TestClient]:
    with TestClient(create_app(models), base_url="http://127.0.0.1") as client:
        yield client


@pytest.mark.parametrize("body", [
    CAT,
    {**CAT, "model": "tiny"},
    {"model": "plain", "seed": 3, "num_inference_steps": 3},
    {"model": None, **CAT},
    {**CAT, "model": "tinny"},
    {**CAT, "model": 5},
    {**CAT, "model": "plain", "n": "x"},
    {**CAT, "cache": "forecast:3"},
    {**CAT, "cache": "forecast:4"},
    ["tiny"],
])  # fmt: skip
def test_json_is_answered_as_by_the_server(body: Any, client: TestClient, server: TestClient) -> None:
    answers = [each.post(PATH, json=body) for each in (client, server)]
    assert answers[0].status_code == answers[1].status_code
    for field in ("data", "error"):
        assert answers[0].json().get(field) == answers[1].json().get(field)
    assert answers[0].headers.keys() == answers[1].headers.keys()


def test_what_is_not_json_is_answered_as_by_the_server(client: TestClient, server: TestClient) -> None:
    for content in (b"{", b"\xff", b"[" * 100_000):
        answers = [
            each.post(PATH, content=content, headers={"Content-Type": "application/json"}) for each in (client, server)
        ]
        assert (answers[0].status_code, answers[0].json()) == (answers[1].status_code, answers[1].json())
        assert answers[0].status_code == 400


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({"model": "plain"}, "plain"),
        ({"seed": "1"}, "tiny"),
        ({"model[]": "plain"}, "plain"),
        ({"model": "none"}, None),
    ],
)
def test_a_form_is_passed_on_as_it_came(
    fields: dict[str, str], model: str | None, models: dict[str, Path], settings: Settings
) -> None:
    deployments = {name: of_messages(JSON, END) for name in models}
    client = ingress(models, deployments, settings)
    answer = client.post("/v1/images/edits", data=fields, files={"image": PICTURE})
    assert answer.status_code == (404 if model is None else 200)
    assert [name for name, deployment in deployments.items() if deployment.asked] == ([] if model is None else [model])
    for scope, body in (call for deployment in deployments.values() for call in deployment.asked):
        assert body == answer.request.content
        assert dict(scope["headers"])[b"content-type"].decode() == answer.request.headers["content-type"]


def test_the_models_of_all_deployments_are_listed(client: TestClient, server: TestClient) -> None:
    lists = [
        {model["id"]: model["ddim_edge"] for model in each.get("/v1/models").json()["data"]}
        for each in (client, server)
    ]
    assert lists[0] == lists[1]
    assert list(lists[0]) == ["tiny", "plain"]
    assert client.get("/v2/models/plain/ready").json() == {"status": "ready"}
    assert client.get("/v2/models/none/ready").status_code == 404
    assert client.get("/health/ready").status_code == 200
    assert client.get(PATH).json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_inference_is_asked_of_its_models_deployment(
    client: TestClient, deployments: dict[str, FakeDeployment], version: str
) -> None:
    body = {"inputs": [], "parameters": {"prompt": "cat", "seed": 1, "num_inference_steps": 2}}
    answer = client.post(f"/v2/models/tiny{version}/infer", json=body)
    assert (answer.status_code, answer.json()["outputs"][0]["shape"]) == (200, [1, 8, 8, 1])
    assert [name for name, deployment in deployments.items() if deployment.asked] == ["tiny"]
    refused = client.post(f"/v2/models/none{version}/infer", json=body)
    assert (refused.status_code, type(refused.json()["error"])) == (404, str)


def test_the_store_answers_for_images_and_jobs(client: TestClient) -> None:
    body = {"model": "plain", "seed": 3, "num_inference_steps": 3}
    url = client.post(PATH, json={**body, "response_format": "url"}).json()["data"][0]["url"]
    assert client.get(url).headers["content-type"] == "image/png"
    job = client.post("/v1/jobs", json={**body, "num_inference_steps": 1000}).json()
    assert job["model"] == "plain"
    assert client.get(f"/v1/jobs/{job['id']}").json()["status"] in ("queued", "running")
    assert client.delete(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"


def test_events_are_passed_on(client: TestClient) -> None:
    asked = {**CAT, "stream": True, "partial_images": 2}
    events = client.post(PATH, json=asked).text
    assert events.count("event: image_generation.partial_image") == 2
    assert events.count("event: image_generation.completed") == 1


def test_a_deployment_gets_the_requests_of_clients_with_a_key_once(
    models: dict[str, Path], tmp_path: Path, settings: Settings
) -> None:
    done = of_messages(JSON, END)
    named = replace(settings, api_keys=ApiKeys(written(tmp_path / "keys.toml", "alice")))
    client = ingress(models, {"tiny": done, "plain": done}, named)
    headers = {"Idempotency-Key": "one", "X-Request-Id": "mine"}
    assert client.post(PATH, json=CAT, headers=headers).status_code == 401
    assert client.post(PATH, content=b"x" * 200_000, headers=bearer("alice")).status_code == 413
    assert not done.asked
    answers = [client.post(PATH, json=CAT, headers={**headers, **bearer("alice")}) for _ in range(2)]
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true"]
    ((scope, _),) = done.asked
    sent = dict(scope["headers"])
    assert (sent[b"x-request-id"], sent[b"authorization"]) == (b"mine", b"Bearer key-of-alice")
    assert b"idempotency-key" not in sent


@pytest.mark.parametrize(("error", "status", "code"), [
    (RayActorError(), 503, "replica_lost"),
    (BackPressureError(1, 1), 429, "queue_full"),
    (DeploymentUnavailableError("tiny"), 503, "overloaded"),  # type: ignore[arg-type]
    (RuntimeError("of the test"), 500, "internal_error"),
])  # fmt: skip
def test_an_error_of_serve_has_openais_format(
    error: Exception, status: int, code: str, models: dict[str, Path], settings: Settings
) -> None:
    failing = of_messages(error)
    answer = ingress(models, {"tiny": failing, "plain": failing}, settings).post(PATH, json=CAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert failing.cancelled == 1


def test_events_of_a_lost_replica_end_in_an_error(models: dict[str, Path], settings: Settings) -> None:
    failing = of_messages(START, EVENT, RayActorError())
    events = ingress(models, {"tiny": failing, "plain": failing}, settings).post(PATH, json=CAT).text
    assert events.startswith("event: a\n")
    assert "replica_lost" in events.partition("event: error\n")[2]


def test_a_client_that_leaves_cancels_the_call(client: TestClient) -> None:
    begun = asyncio.Event()

    async def reply(_scope: dict[str, Any], _body: bytes) -> AsyncIterator[dict[str, Any]]:
        begun.set()
        await asyncio.Event().wait()
        yield {}

    async def leave() -> None:
        deployment: Any = FakeDeployment(reply)
        app: Any = client.app
        forward = Forward(PATH, app.state.engine.catalogue, {"tiny": deployment})
        scope = {"type": "http", "headers": [], "state": {"request_id": "1"}}
        request = asyncio.ensure_future(forward(scope, _receive, _send))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert deployment.cancelled == 1

    asyncio.run(leave())


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b'{"model": "tiny"}'}


async def _send(_message: Any) -> None:
    raise AssertionError("nothing is sent")
