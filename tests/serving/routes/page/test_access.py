"""For the keyboard, a screen reader, a phone, and whoever has a key."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .actions import alert, generate, status
from .conftest import Open
from .fake_server import FakeServer, fake_server

PHONE = {"width": 360, "height": 740}


def test_by_keyboard_alone(page: Page, server: FakeServer) -> None:
    reached = []
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached[:5] == ["API reference", "theme", "model", "label", "Start from a picture"]
    assert reached[5:11] == ["count", "steps", "width", "height", "seed", "random"]
    assert reached[11:] == ["sampler", "guidance", "cache", "generate"]
    page.get_by_label("Label").focus()
    page.keyboard.type("ha")
    page.get_by_role("button", name="Generate").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="preview 3 of 3")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Space")
    assert server.left.get(timeout=30) == "hangs"
    expect(page.get_by_role("button", name="Generate")).to_be_focused()


def test_every_control_has_a_name(page: Page) -> None:
    generate(page, count=2)
    expect(status(page)).to_contain_text("Finished")
    names = []
    for control in page.locator("input, select, button, a, progress").filter(visible=True).all():
        expect(control).to_have_accessible_name(re.compile("."))
        names.append(control.get_attribute("aria-label"))
    said = [name for name in names if name]
    assert len(said) == len(set(said)) == 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(server: FakeServer, opened: Open, scheme: Any) -> None:
    page = opened(server.address, viewport=PHONE, color_scheme=scheme, reduced_motion="reduce")
    generate(page, "tench, Tinca tinca", count=3)
    expect(status(page)).to_contain_text("Finished")
    generate(page, "refused")
    expect(alert(page)).not_to_be_empty()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for control in page.locator("input, select, button, a, img").filter(visible=True).all():
        box = control.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, as WCAG has it."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(server: FakeServer, opened: Open, scheme: Any) -> None:
    page = opened(server.address, color_scheme=scheme)
    script = """pairs => pairs.map(([ink, ground]) => [ink, ground].map(name => {
        document.body.style.color = `var(--${name})`;
        return getComputedStyle(document.body).color;
    }))"""
    texts = [("ink", "paper"), ("ink", "card"), ("quiet", "paper"), ("quiet", "card"), ("accent", "card")]
    for ink, ground in page.evaluate(script, [*texts, ("on-accent", "accent"), ("alert", "alert-paper")]):
        dark, light = sorted([luminance(ink), luminance(ground)])
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def test_a_key_is_asked_for_and_forgotten(opened: Open) -> None:
    with fake_server(api_key="right") as server:
        page = opened(server.address)
        expect(page.get_by_label("API key")).to_be_focused()
        expect(alert(page)).to_be_empty()
        for key, words in (("wrong", "The server says: the API key is missing or wrong."), ("right", "")):
            page.keyboard.type(key)
            page.keyboard.press("Enter")
            expect(alert(page)).to_have_text(words)
        expect(page.get_by_label("API key")).to_be_hidden()
        generate(page)
        expect(status(page)).to_contain_text("Finished")
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        expect(page.get_by_label("API key")).to_be_visible()


def test_colours_are_the_systems_or_those_chosen_which_stay(server: FakeServer, opened: Open) -> None:
    page = opened(server.address, color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(paper)
    assert luminance(dark) < luminance(light)
    page.emulate_media(color_scheme="dark")
    page.get_by_label("Colours").select_option("light")
    page.reload()
    assert page.evaluate(paper) == light
    page.get_by_label("Colours").select_option("as the system")
    assert page.evaluate(paper) == dark
    assert page.evaluate("localStorage.length") == 0


def test_a_server_of_arrays_alone_says_so(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.serving.routes.page.fake_server._MODELS", [])
    with fake_server() as server:
        expect(status(opened(server.address))).to_contain_text("makes no images")
