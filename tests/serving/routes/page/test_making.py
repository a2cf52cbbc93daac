"""Images are asked for, watched, cancelled, and refused in words."""

import re

import pytest
from playwright.sync_api import Page, expect

from .actions import alert, generate, level, press, status
from .fake_server import LABELS, FakeServer


def test_the_form_is_what_the_model_can(page: Page) -> None:
    assert page.get_by_label("Label").locator("option").all_text_contents() == [
        *LABELS,
        "any, drawn at random",
        "none (no class)",
    ]
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
    # All in one look: the page may be scrolling.
    tops = images.evaluate_all("images => images.map(image => image.getBoundingClientRect().top)")
    assert (len(tops), len(set(tops))) == (3, 1)
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


def test_a_model_of_text_is_asked_for_a_prompt_and_what_to_avoid(page: Page, server: FakeServer) -> None:
    page.get_by_label("Model").select_option("words")
    expect(page.get_by_label("Label")).to_be_hidden()
    expect(page.get_by_label("Guidance")).to_have_value("7.5")
    page.get_by_label("Prompt").fill("a red cat")
    page.get_by_label("What to avoid").fill("blue")
    press(page, "Generate")
    expect(status(page)).to_contain_text("Finished 1 image")
    asked = {name: server.bodies[0].get(name) for name in ("prompt", "negative_prompt", "guidance_scale", "labels")}
    assert asked == {"prompt": "a red cat", "negative_prompt": "blue", "guidance_scale": 7.5, "labels": None}
    expect(page.get_by_role("img")).to_have_attribute("alt", re.compile("a red cat"))


def test_the_authors_defaults_go_first(page: Page, server: FakeServer) -> None:
    page.get_by_label("Model").select_option("chosen")
    fields = ("Steps", "Guidance", "Width", "Height", "What to avoid")
    assert [page.get_by_label(name).input_value() for name in fields] == ["30", "3", "96", "64", "blurry"]
    expect(page.get_by_label("Model")).to_have_accessible_description(re.compile("30 steps of pndm, guidance 3, 96×64"))
    page.get_by_label("Steps").fill("2")
    page.get_by_label("Sampler").select_option("ddim")
    page.get_by_label("Prompt").fill("a red cat")
    press(page, "Back to the model's defaults")
    expect(page.get_by_label("Steps")).to_have_value("30")
    expect(page.get_by_label("Sampler")).to_have_value("pndm")
    page.get_by_label("What to avoid").fill("")
    press(page, "Generate")
    expect(status(page)).to_contain_text("Finished")
    asked = {"prompt": "a red cat", "negative_prompt": "", "num_inference_steps": 30, "guidance_scale": 3}
    assert asked.items() <= server.bodies[0].items()
    assert "size" not in server.bodies[0]


def test_an_empty_prompt_says_what_it_means(page: Page) -> None:
    page.get_by_label("Model").select_option("words")
    prompt = page.get_by_label("Prompt")
    expect(prompt).to_have_accessible_description(re.compile(r"Empty: no text guides the image \(unconditional\)"))
    prompt.fill("a red cat")
    expect(prompt).to_have_accessible_description("What the image should show.")


def test_a_class_is_drawn_or_left_out(page: Page, server: FakeServer) -> None:
    generate(page, "none (no class)")
    expect(page.get_by_label("Label")).to_have_accessible_description(re.compile("unconditional"))
    expect(status(page)).to_contain_text("Finished")
    page.evaluate("Math.random = () => 0.1")
    generate(page, "any, drawn at random")
    expect(page.get_by_role("button", name="Details: sneaker")).to_be_visible()
    assert [body["labels"] for body in server.bodies] == [["none"], ["sneaker"]]


def test_a_size_that_the_model_cannot_have_is_not_sent(page: Page, server: FakeServer) -> None:
    page.get_by_label("Width").fill("30")
    generate(page)
    assert page.get_by_label("Width").evaluate("field => field.validity.stepMismatch")
    page.get_by_label("Width").fill("56")
    press(page, "Generate")
    expect(status(page)).to_contain_text("Finished")
    assert [body["size"] for body in server.bodies] == ["56x28"]


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
    expect(page.get_by_role("heading", name="Earlier images")).to_be_visible()


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
