"""What a visitor does and sees."""

from playwright.sync_api import Locator, Page


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
