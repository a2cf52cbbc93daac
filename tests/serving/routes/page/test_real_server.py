"""The page before the server that it is for."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Locator, Page, expect

from ddim_edge.images.encode import read_recipe
from ddim_edge.serving import Settings, create_app
from tests.helpers.command_line import COMMAND

from .actions import generate, press, status
from .conftest import Open


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


def check_commands(page: Page, folder: Path) -> None:
    """Start from the image that was made, with a mask; then each command makes the same file, to the last byte."""
    page.get_by_role("button", name="Details: sneaker, seed 3").click()
    press(page, "Start from this image")
    # Until the form has the image, the mask is hidden, and a key goes to what has the focus.
    expect(page.get_by_label("Mask")).to_be_visible()
    expect(status(page)).to_have_text("The form now starts from this image.")
    page.get_by_label("Mask").press("Space")
    generate(page, "bag")
    expect(status(page)).to_contain_text("Finished 1 image ", timeout=60_000)
    page.get_by_role("button", name="Details: bag").click()
    dialog = page.get_by_role("dialog")
    save(page, dialog.get_by_role("link", name="Download"), folder / "wanted.png")
    for language in ("run", "python", "curl"):
        page.get_by_label("Make it again with").select_option(language)
        for link in dialog.get_by_role("link", name="Save").all():
            save(page, link, folder / link.inner_text().removeprefix("Save "))
        command = page.get_by_label("Command").inner_text()
        if language == "python":
            subprocess.run([sys.executable, "-c", command], cwd=folder, check=True)
        else:
            shell = f'ddim-edge() {{ {shlex.join(COMMAND)} "$@"; }}\n{command}'
            env = os.environ | {"DDIM_EDGE_API_KEY": "a-key"}
            subprocess.run(["bash", "-c", shell], cwd=folder, env=env, check=True)
        (made,) = (*folder.glob("fashion-mnist*/*.png"), *folder.glob("fashion-mnist*.png"))
        assert made.read_bytes() == (folder / "wanted.png").read_bytes(), language
        shutil.rmtree(made.parent) if made.parent != folder else made.unlink()
    page.keyboard.press("Escape")


def save(page: Page, link: Locator, path: Path) -> None:
    with page.expect_download() as download:
        link.click()
    download.value.save_as(path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
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
        page.get_by_role("link", name="Download: sneaker, seed 4").click()
    download.value.save_as(tmp_path / "made.png")
    recipe = read_recipe(tmp_path / "made.png")
    assert (recipe["seed"] + recipe["index"], recipe["num_steps"], recipe["guidance_scale"]) == (4, 8, 2)
    check_commands(page, tmp_path)
    page.get_by_label("Steps").fill("1000")
    page.get_by_label("Label").select_option("bag")
    press(page, "Generate")
    expect(page.get_by_role("img", name=re.compile("preview")).first).to_be_visible(timeout=60_000)
    press(page, "Cancel")
    expect(status(page)).to_have_text("Cancelled, 0 finished.")
