"""Request bodies: their size, what stands in them, and where they are kept."""

import asyncio
import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.http import bodies
from ddim_edge.serving.http.error_responses import request_error_of
from tests.serving.gate import Exchange

PATH = "/v1/images/generations"
KIB = 2**10
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(tiny_bundle: Path) -> TestClient:
    return TestClient(create_app({"tiny": tiny_bundle}), headers=JSON)


def error_of(client: TestClient, body: Any, status: int = 400) -> dict[str, Any]:
    answer = client.post(PATH, content=body if isinstance(body, bytes) else json.dumps(body).encode())
    assert answer.status_code == status, answer.text
    assert len(answer.content) < 1000
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_json_ends_at_its_limit(client: TestClient, tiny_bundle: Path) -> None:
    body = json.dumps({"prompt": "cat", "num_inference_steps": 1}).encode()
    assert client.post(PATH, content=body.ljust(128 * KIB)).status_code == 200
    assert error_of(client, body.ljust(128 * KIB + 1), 413)["code"] == "body_too_large"
    small = TestClient(create_app({"tiny": tiny_bundle}, Settings(max_json_bytes=100)), headers=JSON)
    assert small.post(PATH, content=body).status_code == 200
    assert "100 bytes" in error_of(small, body.ljust(101), 413)["message"]


def test_only_a_form_with_pictures_may_be_larger(client: TestClient) -> None:
    large = b"a&" * 100 * KIB
    answer = client.post(
        "/v1/images/edits", content=large, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"{bad", b"", b"[]", b"3"])
def test_what_is_no_json_object_is_told_what_to_send(client: TestClient, body: bytes) -> None:
    message = error_of(client, body)["message"]
    assert message.startswith("the body must be a JSON object, sent as Content-Type: application/json (")


def test_a_wrong_value_is_told_what_it_must_be(client: TestClient) -> None:
    error = error_of(client, {"n": "x"})
    assert (error["message"], error["param"]) == ("n must be a whole number from 1 to 10, not 'x'", "n")


def test_an_unknown_path_is_told_where_the_paths_stand(client: TestClient) -> None:
    answer = client.get("/v1/foo")
    assert answer.json()["error"]["message"] == "Not Found: /docs lists the paths and their methods"


def test_unknown_options_are_counted(client: TestClient) -> None:
    error = error_of(client, {f"{number:x}": 1 for number in range(9000)})
    assert error["message"] == "0: unknown option, and 8999 more"
    assert (error["param"], error["code"]) == ("0", "unknown_parameter")


@pytest.mark.parametrize(
    "body",
    [
        {"x" * 100_000: 1},
        {"prompt": "x" * 3000},
        {"prompt": "cat", "labels": ["x" * 200]},
        {"prompt": "cat", "sampler": "x" * 100},
        {"prompt": "cat", "model": "x" * 200},
        {"prompt": "cat", "size": "9" * 20},
    ],
)
def test_an_error_does_not_repeat_long_input(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post(PATH, json=body)
    assert 400 <= answer.status_code < 500
    error = answer.json()["error"]
    assert all(len(error[key] or "") < 600 and "x" * 201 not in (error[key] or "") for key in ("message", "param"))


def test_a_long_name_of_a_field_of_a_form_is_not_repeated(client: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="' + b"x" * 5000 + b'"; filename="a"\r\n\r\na\r\n--x--\r\n'
    answer = client.post("/v1/images/edits", content=body, headers=FORM)
    assert (answer.status_code, "x" * 201 in answer.text) == (400, False)


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"a":' * 20_000, b'{"prompt":' + b"[" * 60_000 + b"]" * 60_000 + b"}"]
)
def test_deep_json_is_a_bad_request(client: TestClient, body: bytes) -> None:
    error_of(client, body)


def form(size: int) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return head + b"a" * size + b"\r\n--x--\r\n"


def test_uploads_share_a_limit_and_give_it_back(tiny_bundle: Path) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(max_uploads_bytes=1000))
    kind = FORM["Content-Type"]

    async def scenario() -> None:
        async with app.state.engine:
            held = Exchange(app, "/v1/images/edits", form(700)[:-9], kind, whole=False)
            await asyncio.sleep(0)
            while not held._asked:
                await asyncio.sleep(0)
            refused = Exchange(app, "/v1/images/edits", form(700), kind)
            await refused.task
            assert (refused.status, refused.error["code"]) == (503, "overloaded")
            assert "retry-after" in refused.headers
            json_goes_on = Exchange(app, PATH, {"prompt": "cat", "num_inference_steps": 1})
            await json_goes_on.task
            assert json_goes_on.status == 200
            held.leave()
            await held.task
            read = Exchange(app, "/v1/images/edits", form(700), kind)
            await read.task
            assert (read.status, "not a picture" in read.error["message"]) == (400, True)

    asyncio.run(scenario())


def test_the_memory_of_many_uploads_is_given_back(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed = asyncio.Event()
    monkeypatch.setattr(bodies, "_TRIM_BYTES", 600)
    monkeypatch.setattr(bodies, "_TRIM_AFTER_S", 0.0)
    monkeypatch.setattr(bodies, "trim_heap", trimmed.set)
    app = create_app({"tiny": tiny_bundle})

    async def scenario() -> None:
        async with app.state.engine:
            small, large = (Exchange(app, "/v1/images/edits", form(size), FORM["Content-Type"]) for size in (100, 700))
            await small.task
            await large.task
            await asyncio.wait_for(trimmed.wait(), 10)

    asyncio.run(scenario())


def test_an_upload_needs_no_disk(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", full)
    answer = client.post("/v1/images/edits", content=form(2 * 2**20), headers=FORM)
    assert (answer.status_code, "not a picture" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OSError(errno.ENOSPC, "full"), 507, "disk_full"),
        (OSError(errno.EDQUOT, "full"), 507, "disk_full"),
        (OSError(errno.EIO, "broken"), 500, "internal_error"),
        (MemoryError(), 503, "out_of_memory"),
    ],
)
def test_what_the_machine_lacks_is_not_the_clients_fault(error: Exception, status: int, code: str) -> None:
    found = request_error_of(error)
    assert (found.status, found.code) == (status, code)


@pytest.mark.parametrize(
    "path", ["/", "/health/live", "/v1/models", "/v1/models/tiny", "/metrics", "/openapi.json", "/v2"]
)
def test_head_is_get_without_a_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


def test_head_elsewhere(client: TestClient) -> None:
    assert client.head(PATH).status_code == 405
    assert client.head("/nowhere").status_code == 404
    assert client.post("/v1/models").headers["Allow"] == "GET, HEAD"
