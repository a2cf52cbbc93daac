"""What a visit has made, and its recipes: reused, copied, downloaded."""

import json

from PIL import Image
from playwright.sync_api import Page, expect

from .actions import generate, status
from .fake_server import FakeServer


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
