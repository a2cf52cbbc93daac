"""A proxy's own errors, and what a client gets of a response whose replica was lost."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from ddim_edge.serving.http.proxy_errors import ProxyErrorsMiddleware


def proxy(*messages: dict[str, Any]) -> TestClient:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    wrapped: ASGIApp = ProxyErrorsMiddleware(app)
    return TestClient(wrapped, raise_server_exceptions=False)


def start(status: int, kind: bytes, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *headers]}


def body(text: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": more}


@pytest.mark.parametrize(
    ("status", "code", "answered"),
    [(404, "not_found", 404), (408, "deadline_passed", 504), (429, "queue_full", 429), (503, "overloaded", 503)],
)
def test_its_plain_text_becomes_json(status: int, code: str, answered: int) -> None:
    answer = proxy(start(status, b"text/plain; charset=utf-8"), body(b"Deployment unavailable")).get("/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (answered, code)


def test_a_request_whose_replica_was_lost_gets_an_answer() -> None:
    answer = proxy().get("/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "replica_lost")
    assert answer.headers["Retry-After"] == "1"


def test_a_stream_whose_replica_was_lost_ends_with_an_error() -> None:
    answer = proxy(start(200, b"text/event-stream"), body(b"event: partial\ndata: {}\n\n", more=True)).get("/")
    assert answer.text.startswith("event: partial\n")
    assert '"code": "replica_lost"' in answer.text.split("event: error\n")[1]


@pytest.mark.parametrize(("status", "kind"), [(200, b"text/plain"), (400, b"application/json"), (200, b"image/png")])
def test_what_a_replica_answered_stays(status: int, kind: bytes) -> None:
    answer = proxy(start(status, kind), body(b"first ", more=True), body(b"second")).get("/")
    assert (answer.status_code, answer.content) == (status, b"first second")


def test_a_response_has_one_request_id() -> None:
    ids = [(b"x-request-id", b"one"), (b"x-request-id", b"one")]
    assert proxy(start(200, b"image/png", *ids), body(b"")).get("/").headers.get_list("X-Request-Id") == ["one"]
