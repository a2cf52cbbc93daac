"""``/docs``: all of the OpenAPI document, in one page that loads nothing."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.routes.reference import reference


@pytest.fixture
def client(tiny_bundle: Path) -> TestClient:
    return TestClient(create_app({"tiny": tiny_bundle}, Settings(api_key="secret", preload=False)))


def test_it_has_every_operation_and_every_object(client: TestClient) -> None:
    page, document = client.get("/docs"), client.get("/openapi.json").json()
    assert page.headers["Content-Type"].startswith("text/html")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert f"<h2>{method.upper()} {path}</h2>" in page.text
            for parameter in operation.get("parameters", ()):
                assert f"<code>{parameter['name']}</code>" in page.text
    for name, schema in document["components"]["schemas"].items():
        assert f"<h2>{name}</h2>" in page.text
        for field in schema["properties"]:
            assert f"<code>{field}</code>" in page.text


def test_every_link_leads_somewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="([^"]+)"', page)
    assert {link for link in links if not link.startswith("#")} == {"data:,", "openapi.json", "./"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert not re.search(r'\ssrc="|url\(|@import', page)


def test_it_is_read_under_a_prefix(tiny_bundle: Path) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(preload=False))
    page = TestClient(Starlette(routes=[Mount("/draw", app)])).get("/draw/docs")
    assert page.status_code == 200
    assert "POST /v1/images/generations" in page.text


def test_fields_say_what_they_take_and_text_is_escaped() -> None:
    properties = {
        "n": {"type": "integer", "minimum": 1, "maximum": 10, "description": "How many <b>.", "default": 4},
        "format": {"anyOf": [{"enum": ["png", "webp"]}, {"type": "null"}]},
        "labels": {"type": "array", "items": {"$ref": "#/components/schemas/Label"}},
        "image": {"type": "string", "format": "binary"},
        "strength": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    }
    schemas = {"Label": {"properties": {}}, "Body": {"properties": properties, "required": ["n"]}}
    page = reference({"paths": {}, "components": {"schemas": schemas}})
    rows = re.findall(r"<tr><th[^>]*><code>(\w+)</code></th><td>(.*?)</td><td>(.*?)</td></tr>", page)
    assert [(name, re.sub("<.*?>", "", kind), text) for name, kind, text in rows] == [
        ("n", "whole number, 1 to 10", "How many &lt;b&gt;.; required; default: <code>4</code>"),
        ("format", "png, webp", ""),
        ("labels", "list of Label", ""),
        ("image", "file", ""),
        ("strength", "number, above 0 to 1", ""),
    ]
