"""A picture to start from, and the mask that is painted on it."""

import io
import re

from PIL import Image
from playwright.sync_api import Page, expect

from .actions import alert, generate, press, status
from .fake_server import FakeServer


def upload(page: Page, size: tuple[int, int] = (300, 100), colour: str = "red") -> None:
    """Choose a picture whose left and right thirds are black."""
    picture = Image.new("RGB", size, "black")
    picture.paste(colour, (size[0] // 3, 0, 2 * size[0] // 3, size[1]))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    if not page.get_by_label("Picture", exact=True).is_visible():
        page.get_by_text("Start from a picture").click()
    file = {"name": "stripes.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.get_by_label("Picture", exact=True).set_input_files(file)
    expect(page.get_by_label("Mask")).to_be_visible()


def masked(image: Image.Image) -> set[tuple[int, int]]:
    """The pixels that are transparent; all others are opaque."""
    alpha = image.getchannel("A")
    assert {level for _, level in alpha.getcolors() or ()} <= {0, 255}
    return {(x, y) for x in range(image.width) for y in range(image.height) if alpha.getpixel((x, y)) == 0}


def test_a_picture_is_sent_in_the_images_size_with_its_centre(page: Page, server: FakeServer) -> None:
    upload(page)
    page.get_by_label("Strength").fill("0.5")
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    assert server.files[0].keys() == {"image"}
    picture = server.files[0]["image"].convert("RGB")
    assert picture.size == (28, 28)
    assert picture.getchannel("R").getextrema()[0] > 240
    asked = {"labels": ["sneaker"], "strength": "0.5", "stream": "true", "n": "1"}
    assert asked.items() <= server.bodies[0].items()


def test_a_mask_is_painted_with_the_pointer(page: Page, server: FakeServer) -> None:
    upload(page)
    page.get_by_label("Brush size").fill("20")
    page.get_by_label("Mask").scroll_into_view_if_needed()
    box = page.get_by_label("Mask").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    page.mouse.up()
    page.mouse.move(box["x"], box["y"])
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    pixels = masked(server.files[0]["mask"])
    assert {x for x, y in pixels if y == 14} == set(range(4, 24))
    assert {y for x, y in pixels if x == 14} == set(range(11, 17))
    press(page, "Clear the mask")
    press(page, "Generate")
    expect(page.get_by_role("button", name="Details")).to_have_count(2)
    assert server.files[1].keys() == {"image"}


def test_a_mask_is_painted_and_wiped_by_keyboard(page: Page, server: FakeServer) -> None:
    upload(page)
    page.get_by_label("Mask").focus()
    for key in ("Space", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight"):
        page.keyboard.press(key)
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    painted = masked(server.files[0]["mask"])
    assert (14, 14) in painted
    assert (17, 14) in painted
    assert (5, 14) not in painted
    page.get_by_label("Mask").focus()
    page.keyboard.press("Delete")
    press(page, "Generate")
    expect(page.get_by_role("button", name="Details")).to_have_count(2)
    assert (17, 14) not in masked(server.files[1]["mask"])


def test_settings_are_reused_with_picture_and_mask(page: Page, server: FakeServer) -> None:
    upload(page)
    page.get_by_label("Mask").press("Space")
    page.get_by_label("Width").fill("56")
    page.get_by_label("Width").blur()
    page.get_by_label("Mask").press("Space")
    generate(page)
    expect(status(page)).to_contain_text("Finished")
    press(page, "Remove the picture")
    press(page, "Back to the model's defaults")
    page.reload()
    page.get_by_role("button", name="Details").click()
    press(page, "Reuse the settings")
    expect(status(page)).to_have_text("The form now has these settings.")
    press(page, "Generate")
    expect(status(page)).to_contain_text("Finished")
    assert server.bodies[0] == server.bodies[1]
    before, after = server.files
    assert before["image"].size == (56, 28)
    for name in ("image", "mask"):
        assert before[name].convert("RGBA").tobytes() == after[name].convert("RGBA").tobytes()


def test_an_image_is_started_from(page: Page, server: FakeServer) -> None:
    generate(page)
    page.get_by_role("button", name="Details").click()
    press(page, "Start from this image")
    expect(page.get_by_label("Mask")).to_be_visible()
    press(page, "Generate")
    expect(page.get_by_role("button", name="Details")).to_have_count(2)
    assert server.files[0]["image"].convert("L").getpixel((9, 9)) == 200
    press(page, "Remove the picture")
    press(page, "Generate")
    expect(page.get_by_role("button", name="Details")).to_have_count(3)
    assert len(server.files) == 1


def test_an_empty_prompt_with_a_picture_is_a_variation(page: Page) -> None:
    page.get_by_label("Model").select_option("words")
    upload(page)
    expect(page.get_by_label("Prompt")).to_have_accessible_description(re.compile("a variation of the picture"))


def test_a_file_that_is_no_picture(page: Page) -> None:
    page.get_by_text("Start from a picture").click()
    file = {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.get_by_label("Picture", exact=True).set_input_files(file)
    expect(alert(page)).to_have_text("The file is no picture that this browser can read.")
    expect(page.get_by_label("Mask")).to_be_hidden()
