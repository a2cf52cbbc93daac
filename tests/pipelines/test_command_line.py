"""Prompts and sizes on the command line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.command_line import Invoke

from .conftest import FamilyOf


@pytest.fixture
def bundle(family_of: FamilyOf) -> Path:
    return family_of("stable-diffusion").bundle


def test_a_prompt_and_the_same_picture_again(bundle: Path, invoke: Invoke, tmp_path: Path) -> None:
    options = ["--prompt", "a cab", "--negative-prompt", "ugly", "--height", 48, "--width", 24, "-s", 2]
    assert invoke("run", bundle, *options, "-o", "one.png").code == 0
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (24, 48)
    assert invoke("run", "--from-image", "one.png", "-o", "two.png").code == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_prompts_of_a_file_stream_into_a_folder(bundle: Path, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a cab\n\nan old fox\n", encoding="utf-8")
    assert invoke("run", bundle, "--prompts", "prompts.txt", "-s", 2, "-o", "many/").code == 0
    assert sorted(path.name for path in (tmp_path / "many").glob("*.png")) == ["000000.png", "000001.png"]
    assert invoke("run", bundle, "--prompt", "an old fox", "--seed", 1, "-s", 2, "-o", "alone.png").code == 0
    first, second = (np.asarray(Image.open(tmp_path / name)) for name in ("many/000001.png", "alone.png"))
    np.testing.assert_array_equal(first, second)


def test_an_image_is_fitted_to_the_size_that_was_asked_for(bundle: Path, invoke: Invoke, tmp_path: Path) -> None:
    Image.new("RGB", (100, 60), "teal").save(tmp_path / "in.png")
    options = ["--prompt", "a", "--init-image", "in.png", "--height", 24, "--width", 48, "-s", 4]
    assert invoke("run", bundle, *options, "--gif", "-o", "out.png").code == 0
    for name, size in {"out.png": (48, 24), "out.gif": (96, 48)}.items():  # an animation of small images is enlarged
        with Image.open(tmp_path / name) as image:
            assert image.size == size


def test_what_was_cut_off_is_one_line(bundle: Path, invoke: Invoke) -> None:
    done = invoke("run", bundle, "--prompt", "abc " * 60, "-s", 1, "-o", "out.png")
    assert done.code == 0
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("ddim-edge: warning: a prompt has more than 75 tokens")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give a prompt"),
        (["--prompt", "a", "--width", 33], "use 32 or 34"),
        (["--prompt", "a", "--clip-skip", 3], "clip_skip must be at most 2 for text_encoder of"),
        (
            ["--prompt", "a BREAK b", "--prompt-weights"],
            "a prompt has BREAK, which begins a new chunk: set long_prompt",
        ),
        (["--prompts", "not-there.txt"], "cannot be read as prompts"),
        (["--prompts", "empty.txt"], "has no prompt"),
        (["--prompt", "a", "--prompts", "empty.txt"], "exclude each other"),
        (["--prompt", "a", "--negative-prompt", "b", "-g", 1], "off at guidance_scale 1: "),
    ],
)
def test_bad_input_is_one_line(
    options: list[object], message: str, bundle: Path, invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    assert invoke("run", bundle, *options, "-o", "out.png").failed_with(message)
