"""docs/pictures.md, "Change a picture": its commands run in the order in which they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
_FEWER_STEPS = {"encode": ["-s", "5"], "interpolate": ["-s", "5"]}


@pytest.mark.slow
def test_the_commands_run_in_their_order(invoke: Invoke, tmp_path: Path) -> None:
    (block,) = re.findall(r"Change a picture.*?:\n\n```\n(.*?)```", _TEXT, re.DOTALL)
    for line in block.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        if program == "ddim-edge":
            outcome = invoke(*arguments, *_FEWER_STEPS.get(arguments[0], []))
            assert (outcome.code, outcome.err) == (0, ""), line
        else:
            subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True)
    coat, repaired = (np.asarray(Image.open(tmp_path / name)) for name in ("coat.png", "repaired.png"))
    assert np.array_equal(coat[:, 14:], repaired[:, 14:])
    assert not np.array_equal(coat[:, :14], repaired[:, :14])
    assert read_recipe(tmp_path / "variations.png")["num_images"] == 4
    assert (tmp_path / "way.gif").exists()
    (code,) = re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)
    exec(compile(re.sub(r"num_steps=\d+", "num_steps=2", code), "pictures.md", "exec"), {})
    assert (tmp_path / "out.png").exists()


@pytest.mark.slow
def test_the_commands_of_the_text_model_run_in_their_order(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(_ROOT / "models")
    (block,) = re.findall(r"The same with a text-to-image model.*?:\n\n```\n(.*?)```", _TEXT, re.DOTALL)
    for line in block.splitlines():
        outcome = invoke(*shlex.split(line, comments=True)[1:])
        assert (outcome.code, outcome.err) == (0, ""), line
    apple, same, green = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("apple", "same-apple", "green"))
    assert np.abs(same.astype(int) - apple).mean() < 10
    assert apple[16, 16, 0] > apple[16, 16, 1]  # red
    assert green[16, 16, 1] > green[16, 16, 0]
    ripe = np.asarray(Image.open(tmp_path / "ripe.png"))
    assert (ripe[:128, :128] != ripe[-128:, -128:]).any()


def test_one_picture_makes_one_image_and_a_sheet_is_refused(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-o", "sheet.png").code == 0
    words = (
        "sheet.png: it is a sheet of 16 images, not one: make it with --num-images 1, or write its images to a folder"
    )
    assert invoke("run", tiny_bundle, "--init-image", "sheet.png").failed_with(words)
    assert invoke("encode", "sheet.png", "-m", tiny_bundle, "-o", "sheet.npz").failed_with("it is a sheet of 16 images")
    assert invoke("run", tiny_bundle, "-s", 1, "-n", 1, "-o", "one.png").code == 0
    assert invoke("run", tiny_bundle, "-s", 4, "--init-image", "one.png", "-o", "changed.png").code == 0
    assert read_recipe(tmp_path / "changed.png")["num_images"] == 1
    two = ("--init-image", "one.png", "--labels", "dog,cat")
    assert invoke("run", tiny_bundle, "-s", 4, *two, "-o", "two.png").code == 0
    assert read_recipe(tmp_path / "two.png")["num_images"] == 2
