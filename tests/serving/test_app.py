"""The application within another one, which does not tell it of start and end."""

import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount

from ddim_edge.serving import Settings, create_app


@pytest.fixture
def client(tiny_bundle: Path) -> TestClient:
    return TestClient(Starlette(routes=[Mount("/draw", create_app({"tiny": tiny_bundle}, Settings(api_key="secret")))]))


KEY = {"Authorization": "Bearer secret"}
CAT = {"prompt": "cat", "num_inference_steps": 2}


def test_it_makes_images(client: TestClient) -> None:
    answer = client.post("/draw/v1/images/generations", json={**CAT, "response_format": "url"}, headers=KEY)
    url = answer.json()["data"][0]["url"]
    assert "/draw/images/" in url
    assert client.get(url).headers["Content-Type"] == "image/png"
    assert client.get("/draw/").headers["Content-Type"].startswith("text/html")


def test_its_jobs_are_where_it_says(client: TestClient) -> None:
    with client:
        made = client.post("/draw/v1/jobs", json=CAT, headers=KEY)
        assert client.get(made.headers["Location"], headers=KEY).json()["id"] == made.json()["id"]


@pytest.mark.parametrize("path", ["v1/models", "metrics", "v2/models/tiny", "v1/jobs/any", "anything/else"])
def test_it_wants_its_key(client: TestClient, path: str) -> None:
    assert client.get(f"/draw/{path}").status_code == 401
    assert client.get("/draw/health/live").status_code == 200


def test_the_log_keeps_the_names_of_images(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ddim_edge.access")
    logging.getLogger("ddim_edge.access").propagate = True
    client.get("/draw/images/a-secret-name.png")
    assert "a-secret-name" not in caplog.text.replace("GET http", "")
