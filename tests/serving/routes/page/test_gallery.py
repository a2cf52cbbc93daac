"""What has been made: kept, deleted, watched again, compared, reused, downloaded."""

import re

from PIL import Image
from playwright.sync_api import Page, expect

from .actions import alert, generate, level, press, status
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
    page.get_by_role("button", name="Details").click()
    press(page, "Reuse the settings")
    expect(page.get_by_role("button", name="Generate")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("img")).to_have_count(2)
    expect(status(page)).to_contain_text("Finished")
    assert server.bodies[1] == server.bodies[0]


def test_images_are_there_after_a_reload(page: Page) -> None:
    for label in ("sneaker", "tench, Tinca tinca"):
        generate(page, label)
        expect(status(page)).to_contain_text("Finished")
    page.reload()
    expect(page.get_by_role("img", name="sneaker")).to_be_visible()
    expect(page.get_by_role("img").first).to_have_attribute("alt", re.compile("^tench"))
    assert level(page.get_by_role("img").first) == 200
    page.get_by_role("button", name="Details: tench").click()
    page.get_by_label("Denoising").press("Home")
    expect(page.get_by_role("img", name="preview 1 of 3")).to_be_visible()


def test_images_are_deleted_for_good(page: Page) -> None:
    for seed in ("1", "2", "3"):
        page.get_by_label("Seed", exact=True).fill(seed)
        generate(page)
        expect(status(page)).to_contain_text("Finished")
    page.get_by_role("button", name="Delete: sneaker, seed 2").click()
    expect(status(page)).to_have_text("The image is deleted.")
    expect(page.get_by_role("button", name="Delete: sneaker, seed 1")).to_be_focused()
    page.reload()
    expect(page.get_by_role("img")).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.dismiss())
    press(page, "Delete all")
    expect(page.get_by_role("img")).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.accept())
    press(page, "Delete all")
    expect(status(page)).to_have_text("All images are deleted.")
    page.reload()
    expect(status(page)).to_contain_text("Ready")
    expect(page.get_by_role("img")).to_have_count(0)


def test_where_the_browser_stores_nothing_images_are_shown_and_it_is_said(page: Page) -> None:
    full = "IDBObjectStore.prototype.add = () => { throw new DOMException('full', 'QuotaExceededError'); };"
    page.evaluate(f"() => {{ {full} }}")
    generate(page)
    expect(alert(page)).to_contain_text("did not store the image (QuotaExceededError)")
    expect(page.get_by_role("button", name="Details: sneaker")).to_be_visible()


def test_the_denoising_is_scrubbed_by_keyboard(page: Page) -> None:
    generate(page)
    page.get_by_role("button", name="Details").click()
    slider = page.get_by_label("Denoising")
    expect(slider).to_have_attribute("aria-valuetext", "the finished image")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "preview 3 of 3")
    image = page.get_by_role("dialog").get_by_role("img")
    assert level(image) == 120
    slider.press("End")
    expect(image).to_have_attribute("alt", re.compile("the finished image"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Details")).to_be_focused()


def test_two_images_are_compared(page: Page) -> None:
    generate(page, count=2)
    expect(status(page)).to_contain_text("Finished")
    first, second = page.get_by_role("button", name="Compare").all()
    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(status(page)).to_have_text("Choose a second image to compare.")
    second.click()
    dialog = page.get_by_role("dialog", name="Two images compared")
    left, right = (image.bounding_box() for image in dialog.get_by_role("img").all())
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    expect(dialog.get_by_role("rowheader")).to_have_text(["Seed"])
    page.keyboard.press("Escape")
    expect(second).to_be_focused()
    expect(first).to_have_attribute("aria-pressed", "false")


def test_an_image_is_downloaded(page: Page) -> None:
    page.get_by_label("Seed", exact=True).fill("9")
    generate(page, "tench, Tinca tinca")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "small-tench-Tinca-tinca-9.png"
    assert Image.open(download.value.path()).getpixel((0, 0)) == 200
