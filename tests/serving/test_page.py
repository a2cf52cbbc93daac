"""The page, in a real browser: Debian's Chromium, driven by Playwright."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from ddim_edge.images import read_recipe
from ddim_edge.serving import Settings, create_app

from .browser import CHROMIUM, LABELS, FakeServer, fake_server

pytest.importorskip("playwright.sync_api", reason="the browser's driver, Playwright, is not installed")
if CHROMIUM is None:
    pytest.skip("there is no chromium", allow_module_level=True)

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PHONE = {"width": 360, "height": 740}
NOT_LOADED = "Failed to load resource"
"""So Chromium's console begins what it says of every answer over 399, and of none: no fault of the page."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
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


def status(page: Page) -> Locator:
    return page.get_by_role("status")


def alert(page: Page) -> Locator:
    return page.get_by_role("alert")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def generate(page: Page, label: str = "sneaker", count: int = 1) -> None:
    page.get_by_label("Label").select_option(label)
    page.get_by_label("Images", exact=True).fill(str(count))
    press(page, "Generate")


def level(image: Locator) -> int:
    """The grey of the middle of a picture that the page shows."""
    script = """async image => {
        await image.decode();
        const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
        canvas.getContext("2d").drawImage(image, 0, 0, 1, 1);
        return canvas.getContext("2d").getImageData(0, 0, 1, 1).data[0];
    }"""
    return int(image.evaluate(script))


def test_the_form_is_what_the_model_can(page: Page) -> None:
    assert page.get_by_label("Label").locator("option").all_text_contents() == LABELS
    expect(page.get_by_label("Sampler")).to_have_value("pndm")
    expect(page.get_by_label("Steps")).to_have_value("20")
    expect(page.get_by_label("Prompt")).to_be_hidden()
    page.get_by_label("Model").select_option("plain")
    expect(page.get_by_label("Label")).to_be_hidden()
    expect(page.get_by_label("Prompt")).to_be_visible()
    expect(page.get_by_label("Guidance")).to_be_disabled()
    expect(page.get_by_label("Guidance")).to_have_accessible_description(re.compile("off: .* null class"))


def test_images_are_made_side_by_side_and_each_is_asked_for_with_its_recipe(page: Page, server: FakeServer) -> None:
    page.get_by_label("Seed", exact=True).fill("41")
    page.get_by_label("Guidance").fill("2.5")
    generate(page, "tench, Tinca tinca", count=3)
    expect(status(page)).to_contain_text("Finished 3 images")
    recipe = {"model": "small", "labels": ["tench, Tinca tinca"], "num_inference_steps": 20, "sampler": "pndm"}
    asked = {"n": 1, "stream": True, "partial_images": 3, "output_format": "png", "guidance_scale": 2.5}
    bodies = sorted(server.bodies, key=lambda body: int(body["seed"]))
    assert bodies == [{**recipe, **asked, "seed": 41 + index} for index in range(3)]
    images = page.get_by_role("img")
    tops = {box["y"] for image in images.all() if (box := image.bounding_box())}
    assert (images.count(), len(tops)) == (3, 1)
    assert level(images.first) == 200
    expect(images.first).to_have_css("image-rendering", "pixelated")
    expect(images.first).to_have_attribute("alt", "tench, Tinca tinca, seed 41")


def test_a_model_without_labels_and_guidance_is_asked_for_neither(page: Page, server: FakeServer) -> None:
    page.get_by_label("Model").select_option("plain")
    press(page, "Generate")
    expect(status(page)).to_contain_text("Finished 1 image")
    assert not server.bodies[0].keys() & {"labels", "guidance_scale"}
    assert server.bodies[0]["prompt"] == ""
    expect(page.get_by_role("img")).not_to_have_css("image-rendering", "pixelated")


def test_previews_are_shown_and_cancel_stops_the_request(page: Page, server: FakeServer) -> None:
    generate(page, "hangs")
    expect(page.get_by_role("img", name="preview 3 of 3")).to_be_visible()
    assert level(page.get_by_role("img")) == 120
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 3)
    expect(status(page)).to_have_text("Making 1 image, 0 finished …")
    press(page, "Cancel")
    assert server.left.get(timeout=30) == "hangs"
    expect(status(page)).to_have_text("Cancelled, 0 finished.")
    expect(page.get_by_role("img")).to_have_count(0)
    expect(alert(page)).to_be_empty()


def test_what_was_finished_before_a_cancel_stays(page: Page, server: FakeServer) -> None:
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    generate(page, "hangs")
    expect(page.get_by_role("img", name="preview 3 of 3")).to_be_visible()
    page.keyboard.press("Escape")
    assert server.left.get(timeout=30) == "hangs"
    expect(page.get_by_role("img")).to_have_count(1)
    expect(page.get_by_role("heading", name="Earlier in this visit")).to_be_visible()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("refused", "The server says: num_inference_steps: this server makes at most 10."),
        ("full", "The server says: the queue is full. Try again in 7 s."),
        ("breaks", "The server says: unet: NaN at step 3."),
        ("cut off", "The server stopped before the image was finished."),
    ],
)
def test_errors_are_said_once_in_words(page: Page, label: str, words: str) -> None:
    generate(page, label, count=2)
    expect(alert(page)).to_have_text(words)
    expect(page.get_by_role("img")).to_have_count(0)
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    expect(alert(page)).to_be_empty()


def test_a_server_that_is_gone(page: Page) -> None:
    page.route("**/v1/**", lambda route: route.abort())
    generate(page)
    expect(alert(page)).to_have_text("The server cannot be reached. Is it still running?")


def test_bad_numbers_are_not_sent(page: Page, server: FakeServer) -> None:
    generate(page, count=9)
    assert page.get_by_label("Images", exact=True).evaluate("field => field.validity.rangeOverflow")
    assert server.bodies == []


def test_the_gallery_begins_with_the_newest(page: Page) -> None:
    for seed in ("1", "2", "3"):
        page.get_by_label("Seed", exact=True).fill(seed)
        generate(page)
        expect(status(page)).to_contain_text("Finished")
    names = [image.get_attribute("alt") for image in page.get_by_role("img").all()]
    assert names == ["sneaker, seed 3", "sneaker, seed 2", "sneaker, seed 1"]


def test_a_random_seed_is_another_each_time_and_one_that_was_typed_stays(page: Page, server: FakeServer) -> None:
    for _ in range(2):
        generate(page)
        expect(status(page)).to_contain_text("Finished")
    page.get_by_label("Seed", exact=True).fill("5")
    expect(page.get_by_label("A random seed each time")).not_to_be_checked()
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    seeds = [body["seed"] for body in server.bodies]
    assert len(set(seeds)) == 3
    assert seeds[2] == 5


def test_a_recipe_is_reused(page: Page, server: FakeServer) -> None:
    page.get_by_label("Sampler").select_option("ddim")
    generate(page, "tench, Tinca tinca")
    expect(status(page)).to_contain_text("Finished")
    page.get_by_label("Model").select_option("plain")
    page.get_by_role("button", name="Reuse").click()
    expect(page.get_by_role("button", name="Generate")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("img")).to_have_count(2)
    expect(status(page)).to_contain_text("Finished")
    assert server.bodies[1] == server.bodies[0]


def test_a_recipe_is_copied_and_is_a_request(page: Page, server: FakeServer) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    generate(page)
    page.get_by_role("button", name="Copy recipe").click()
    expect(status(page)).to_have_text("The recipe is copied.")
    recipe = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert recipe.items() <= server.bodies[0].items()
    assert {"model", "labels", "seed", "num_inference_steps", "sampler", "guidance_scale"} == recipe.keys()


def test_a_recipe_is_copied_over_plain_http_too(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read"])
    generate(page)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    page.get_by_role("button", name="Copy recipe").click()
    expect(status(page)).to_have_text("The recipe is copied.")
    expect(page.get_by_role("button", name="Copy recipe")).to_be_focused()
    page.evaluate("delete navigator.clipboard")
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["model"] == "small"


def test_an_image_is_downloaded(page: Page) -> None:
    page.get_by_label("Seed", exact=True).fill("9")
    generate(page, "tench, Tinca tinca")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "small-tench-Tinca-tinca-9.png"
    assert Image.open(download.value.path()).getpixel((0, 0)) == 200


def test_by_keyboard_alone(page: Page, server: FakeServer) -> None:
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == ["model", "label", "count", "steps", "seed", "random", "sampler", "guidance", "generate"]
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
    assert len(said) == len(set(said)) == 6


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


def test_events_are_read_whatever_pieces_they_come_in(page: Page) -> None:
    text = ': a comment\r\n\r\nevent: x\r\ndata: {"text": "Ångström"}\r\n\r\ndata: {"n":\ndata: 2}\n\ndata: {"lost": 1}'
    script = """async bytes => {
        const body = new ReadableStream({ start(stream) {
            for (const byte of bytes) stream.enqueue(new Uint8Array([byte]));
            stream.close();
        }});
        return await Array.fromAsync(serverEvents(body));
    }"""
    assert page.evaluate(script, list(text.encode())) == [{"text": "Ångström"}, {"n": 2}]


@pytest.fixture(scope="module")
def real_server() -> Iterator[str]:
    app = create_app(["fashion-mnist"], Settings(api_key="a-key"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    listening = threading.Event()
    start = server.startup

    async def startup(*arguments: Any, **options: Any) -> None:
        await start(*arguments, **options)
        listening.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert listening.wait(60)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(60)


def test_the_real_server(real_server: str, opened: Open, tmp_path: Path) -> None:
    page = opened(real_server)
    page.get_by_label("API key").fill("a-key")
    press(page, "Use this key")
    expect(page.get_by_label("Model")).to_have_value("fashion-mnist")
    page.get_by_label("Steps").fill("8")
    page.get_by_label("Seed", exact=True).fill("3")
    page.get_by_label("Guidance").fill("2")
    generate(page, "sneaker", count=2)
    expect(status(page)).to_contain_text("Finished 2 images", timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="seed 4").click()
    download.value.save_as(tmp_path / "made.png")
    recipe = read_recipe(tmp_path / "made.png")
    assert (recipe["seed"] + recipe["index"], recipe["num_steps"], recipe["guidance_scale"]) == (4, 8, 2)
    page.get_by_label("Steps").fill("1000")
    page.get_by_label("Label").select_option("bag")
    press(page, "Generate")
    expect(page.get_by_role("img", name=re.compile("preview")).first).to_be_visible(timeout=60_000)
    press(page, "Cancel")
    expect(status(page)).to_have_text("Cancelled, 0 finished.")
