"""A real browser, Debian's Chromium, driven by Playwright; where there is none, these tests are skipped."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .actions import status
from .fake_server import CHROMIUM, FakeServer, fake_server

NOT_LOADED = "Failed to load resource"
"""So Chromium's console begins what it says of every answer over 399, and of none: no fault of the page."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    expect.set_options(timeout=30_000)
    # Of the module, not of the session: while it lives, this thread cannot run another event loop.
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Open a page of an address; at the end, nothing was wrong with it: no error, no breach of the CSP."""
    wrong: list[str] = []
    contexts = []

    def open_(address: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [text for text in wrong if not text.startswith(NOT_LOADED)] == []


@pytest.fixture
def page(server: FakeServer, opened: Open) -> Page:
    page = opened(server.address)
    expect(status(page)).to_contain_text("Ready")
    return page
