"""Who may ask the server: keys, pages of elsewhere, names of the host, and what the log keeps."""

import json
import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.settings import LOOPBACK
from tests.serving.answers import refused


def test_a_key_a_page_of_elsewhere_and_another_name(tiny_bundle: Path) -> None:
    options = Settings(api_key="secret", hosts=("testserver",), cors_origins=("https://good",))
    with TestClient(create_app({"tiny": tiny_bundle}, options)) as client:
        assert refused(client.get("/v1/models"), 401)
        assert refused(client.get("/v1/models", headers={"Authorization": "Bearer secre"}), 401)
        key = {"Authorization": "Bearer secret"}
        assert client.get("/v1/models", headers=key).status_code == 200
        assert client.get("/health").status_code == 200
        assert refused(client.get("/v1/models", headers={**key, "Origin": "https://bad"}), 403)
        good = client.get("/v1/models", headers={**key, "Origin": "https://good"})
        assert good.headers["Access-Control-Allow-Origin"] == "https://good"
        assert refused(client.get("/v1/models", headers={**key, "Host": "evil"}), 403)


def test_a_page_of_elsewhere_may_ask_where_it_is_listed(tiny_bundle: Path) -> None:
    asked = {"Origin": "https://good", "Access-Control-Request-Method": "POST"}
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(cors_origins=("https://good",)))) as client:
        answer = client.options("/v1/images/generations", headers=asked)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://good")
        bad = client.options("/v1/images/generations", headers={**asked, "Origin": "https://bad"})
        assert "Access-Control-Allow-Origin" not in bad.headers
    with TestClient(create_app({"tiny": tiny_bundle})) as client:
        assert client.options("/v1/images/generations", headers=asked).status_code >= 400


@pytest.mark.parametrize("host", ["[::", "[", "evil.example", "a@localhost.evil", ""])
def test_another_name_of_the_host_is_refused(tiny_bundle: Path, host: str) -> None:
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(hosts=LOOPBACK))) as client:
        assert refused(client.get("/v1/models", headers={"Host": host}), 403, "Host")
        for good in ("localhost:8000", "127.0.0.1", "[::1]:80"):
            assert client.get("/v1/models", headers={"Host": good}).status_code == 200


@pytest.mark.parametrize("aloud", [False, True])
def test_the_log_holds_a_prompt_only_where_that_was_asked_for(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture, aloud: bool
) -> None:
    caplog.set_level("INFO", "ddim_edge.access")
    logging.getLogger("ddim_edge.access").propagate = True
    options = Settings(api_key="secret", log_prompts=aloud)
    with TestClient(create_app({"tiny": tiny_bundle}, options), headers={"Authorization": "Bearer secret"}) as client:
        body = {"prompt": "cat", "num_inference_steps": 1, "response_format": "url"}
        url = client.post("/v1/images/generations", json=body, headers={"X-Request-Id": "mine"}).json()["data"][0][
            "url"
        ]
        client.get(url)
        client.post("/v1/images/generations", json={"prompt": "dgo"})
    # Each once: pytest listens to a logger twice that a server of an earlier test had stopped from propagating.
    records = [record for record in dict.fromkeys(caplog.records) if record.name.endswith("access")]
    made, fetched, refused = (json.loads(record.message) for record in records)
    assert (made["request_id"], made["path"], made["status"]) == ("mine", "/v1/images/generations", 200)
    assert made.get("prompt") == ("cat" if aloud else None)
    assert fetched["path"] == "/images/…"
    assert (refused["status"], refused["reason"]) == (400, "invalid_value")
    assert "secret" not in caplog.text
    assert "dgo" not in caplog.text
