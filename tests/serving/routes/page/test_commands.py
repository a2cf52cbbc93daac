"""The commands that make an image again: quoted right, copied, and what each is made of."""

import ast
import json
import shlex
import subprocess

import pytest
from playwright.sync_api import Page, expect

from .actions import generate, press, status
from .fake_server import FakeServer
from .test_pictures import upload

WORDS = ["plain", "", "it's", 'a "b" `c` $d \\e !f', "-n", "ünïcode 🦊", "tab\t", "*?[a]~#;&|<>(){}", "''", "\\"]


def details(page: Page, language: str) -> str:
    """The command of the newest image."""
    if not page.get_by_role("dialog").is_visible():
        page.get_by_role("button", name="Details").first.click()
    page.get_by_label("Make it again with").select_option(language)
    return page.get_by_label("Command").inner_text()


def test_any_text_is_quoted(page: Page) -> None:
    quoted = page.evaluate("words => words.map(shellWord)", WORDS)
    printed = subprocess.run(["sh", "-c", rf"printf '%s\n' {' '.join(quoted)}"], capture_output=True, check=True)
    assert printed.stdout.decode().split("\n")[:-1] == WORDS
    assert [shlex.split(word) for word in quoted] == [[word] for word in WORDS]
    literals = page.evaluate("words => words.map(literal)", WORDS)
    assert [ast.literal_eval(text) for text in literals] == WORDS


def test_a_label_with_a_comma_is_named_by_its_number(page: Page) -> None:
    generate(page, "tench, Tinca tinca")
    assert "--labels 1 " in details(page, "run")
    assert 'labels=["tench, Tinca tinca"]' in details(page, "python")


def test_a_picture_and_its_mask_come_with_the_command(page: Page) -> None:
    upload(page)
    expect(page.get_by_label("Mask")).to_be_visible()
    page.get_by_label("Mask").press("Space")
    page.get_by_label("Strength").fill("0.5")
    generate(page)
    assert "--init-image start.png \\\n  --mask mask.png \\\n  --strength 0.5" in details(page, "run")
    expect(page.get_by_role("link", name="Save start.png")).to_be_visible()
    expect(page.get_by_role("link", name="Save mask.png")).to_be_visible()
    assert "-F image=@start.png \\\n  -F mask=@transparent-mask.png" in details(page, "curl")
    expect(page.get_by_role("link", name="Save transparent-mask.png")).to_be_visible()
    assert "v1/images/edits" in details(page, "curl")


def test_a_step_cache_is_written_if_it_was_chosen(page: Page, server: FakeServer) -> None:
    choice = page.get_by_label("Step cache")
    generate(page)
    for language in ("run", "python", "curl", "json"):
        assert "cache" not in details(page, language)
    page.keyboard.press("Escape")
    choice.select_option("deep")
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    assert "  --cache deep \\\n" in details(page, "run")
    assert '    cache="deep",' in details(page, "python")
    assert '"cache":"deep"' in details(page, "curl")
    page.get_by_role("button", name="Reuse").click()
    expect(choice).to_have_value("deep")
    press(page, "Back to the model's defaults")
    expect(choice).to_have_value("")
    page.get_by_label("Model").select_option("plain")
    assert choice.locator("option").all_inner_texts() == ["off", "forecast"]
    assert [body.get("cache") for body in server.bodies] == [None, "deep"]


@pytest.mark.parametrize("model", ["plain", "words"])
def test_a_prompt_is_named_where_the_model_reads_it(page: Page, model: str) -> None:
    page.get_by_label("Model").select_option(model)
    press(page, "Generate")
    assert ("--prompt ''" in details(page, "run")) == (model == "words")
    assert ('prompt=""' in details(page, "python")) == (model == "words")


def test_a_command_is_copied_and_json_is_the_request(page: Page, server: FakeServer) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    generate(page)
    details(page, "json")
    press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    recipe = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert recipe.items() <= server.bodies[0].items()
    assert {"model", "labels", "seed", "num_inference_steps", "sampler", "guidance_scale"} == recipe.keys()


def test_a_command_is_copied_over_plain_http_too(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read"])
    generate(page)
    text = details(page, "curl")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    page.evaluate("delete navigator.clipboard")
    assert page.evaluate("navigator.clipboard.readText()") == text


def test_a_key_is_not_copied(page: Page) -> None:
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    page.evaluate("() => { apiKey = 'secret'; }")
    assert 'Authorization: Bearer $DDIM_EDGE_API_KEY"' in details(page, "curl")
    assert "secret" not in details(page, "curl")
