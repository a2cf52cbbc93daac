"""The OpenAPI document is true: schemathesis asks everything that it allows and forbids, and holds the answers to it.

What it cannot say, schemathesis cannot know: which labels and sizes a model has, and that one option needs another.
So a refusal of what the document allows is no fault where images are made. A form has no types, either: an empty list
is a field that was left out.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.server import listen

load_all_checks()
REFUSES = CHECKS.get_one("positive_data_acceptance")
TYPELESS = CHECKS.get_one("negative_data_rejection")

MODELS = ["fashion-mnist"]
schema = schemathesis.openapi.from_dict(create_app(MODELS, Settings(preload=False)).openapi())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    listener = listen("127.0.0.1", 0)
    app = create_app(MODELS, Settings(max_steps=20, drain_s=1.0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(60)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_document_tells_of(case: schemathesis.Case[Any], address: str) -> None:
    form = case.media_type == "multipart/form-data"
    excluded: list[Any] = [REFUSES] * (case.method == "POST") + [TYPELESS] * form
    case.call_and_validate(base_url=address, excluded_checks=excluded)


def test_where_a_key_is_needed_the_document_says_so(tiny_bundle: Path) -> None:
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(api_key="secret"))) as client:
        document = client.get("/openapi.json").json()
        assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
        for path, item in document["paths"].items():
            for operation in item.values():
                needs = client.request("GET", path).status_code == 401
                assert ("security" in operation) == ("401" in operation["responses"]) == needs, path
