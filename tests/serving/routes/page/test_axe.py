"""No violation of WCAG 2.2 AA that axe-core finds, in each state of the page."""

from importlib import resources
from typing import Any

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Page, expect

from ddim_edge.serving import Settings, create_app

from .actions import generate, status
from .conftest import Open
from .fake_server import FakeServer
from .test_access import PHONE
from .test_pictures import upload

AXE = resources.files("axe_playwright_python") / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)["violations"]
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server: FakeServer, opened: Open, scheme: Any) -> None:
    page = opened(server.address, color_scheme=scheme, reduced_motion="reduce")
    expect(status(page)).to_contain_text("Ready")
    page.evaluate(AXE.read_text("utf-8"))
    generate(page, "tench, Tinca tinca", count=2)
    expect(status(page)).to_contain_text("Finished")
    upload(page)
    generate(page, "refused")
    assert violations(page) == []
    page.get_by_role("button", name="Details").first.click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    for button in page.get_by_role("button", name="Compare").all():
        button.click()
    assert violations(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_reference(server: FakeServer, opened: Open, scheme: Any) -> None:
    answer = TestClient(create_app(["fashion-mnist"], Settings(preload=False, api_key="any"))).get("/docs")
    page = opened(server.address, color_scheme=scheme, viewport=PHONE)
    page.route("**/docs", lambda route: route.fulfill(body=answer.text, headers=dict(answer.headers)))
    page.get_by_role("link", name="API reference").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("ddim-edge: API reference")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.evaluate(AXE.read_text("utf-8"))
    assert violations(page) == []
