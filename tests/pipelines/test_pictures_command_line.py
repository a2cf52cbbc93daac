"""Models that take a picture beside the sample, on the command line."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.command_line import Invoke

from .conftest import FamilyOf

COMMANDS: Mapping[str, tuple[str, tuple[int, int]]] = {
    "instruct-pix2pix": ("--image photo.png --prompt a --guidance-scale 7 --image-guidance-scale 1.5", (32, 32)),
    "upscaler": ("--image small.png --prompt a --noise-level 5", (30, 20)),
    "super-resolution": ("--image small.png", (32, 20)),
    "depth-to-image": ("--image photo.png --init-image photo.png --prompt a --strength 0.5", (32, 32)),
    "marigold-depth": ("--image photo.png", (32, 20)),
    "marigold-normals": ("--image photo.png --height 16 --width 16", (16, 16)),
}
"""A command of each family, and the size of its image."""


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(100), np.arange(60))
    photo = Image.fromarray(np.stack([across * 2, down * 4, across + down], axis=-1).astype(np.uint8))
    photo.save(tmp_path / "photo.png")
    photo.resize((15, 10)).save(tmp_path / "small.png")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_the_same_picture_again(name: str, family_of: FamilyOf, invoke: Invoke, tmp_path: Path) -> None:
    command, size = COMMANDS[name]
    bundle, options = family_of(name).bundle, command.split()
    done = invoke("run", bundle, *options, "-s", 2, "-o", "one.png")
    assert done.code == 0, done.err
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == size
    files = [
        option for flag in ("--image", "--init-image") if flag in options for option in (flag, _file(options, flag))
    ]
    assert invoke("run", "--from-image", "one.png", *files, "-o", "two.png").code == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    other = ["--image", "other.png", *files[2:]]
    Image.new("RGB", (15, 10), "teal").save(tmp_path / "other.png")
    assert invoke("run", "--from-image", "one.png", *other, "-o", "two.png").code == 2


def test_depth_as_numbers(family_of: FamilyOf, invoke: Invoke, tmp_path: Path) -> None:
    bundle = family_of("marigold-depth").bundle
    assert invoke("run", bundle, "--image", "photo.png", "-s", 1, "-o", "depth.npy").code == 0
    depth = np.load(tmp_path / "depth.npy")
    assert (depth.shape, depth.dtype) == ((1, 1, 20, 32), np.float32)
    assert 0 <= depth.min() < depth.max() <= 1


def test_a_table_of_pictures(family_of: FamilyOf, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("images,seed\nphoto.png,1\nsmall.png,2\n")
    bundle = family_of("marigold-depth").bundle
    assert invoke("run", bundle, "--requests", "rows.csv", "-s", 1, "-o", "rows/").code == 0
    assert invoke("run", bundle, "--image", "photo.png", "--seed", 1, "-s", 1, "-o", "alone.png").code == 0
    first, alone = (np.asarray(Image.open(tmp_path / name)) for name in ("rows/000000.png", "alone.png"))
    np.testing.assert_array_equal(first, alone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--prompt a", "takes a picture beside the sample, its image: give images (--image)"),
        ("--prompt a --image none.png", "none.png is not there"),
        ("--prompt a --image photo.png --image-guidance-scale 0.5", "image_guidance_scale must be at least 1"),
        ("--prompt a --image photo.png -g 1 --image-guidance-scale 2", "needs guidance, which is off at"),
        ("--prompt a --image photo.png --noise-level 3", "adds no noise to a picture"),
    ],
)
def test_bad_input_is_one_line(options: str, message: str, family_of: FamilyOf, invoke: Invoke) -> None:
    bundle = family_of("instruct-pix2pix").bundle
    assert invoke("run", bundle, *options.split(), "-o", "out.png").failed_with(message)


def test_a_model_that_takes_no_picture_says_so(tiny_bundle: Path, invoke: Invoke) -> None:
    command = "run", tiny_bundle, "--image", "photo.png", "-o", "out.png"
    assert invoke(*command).failed_with("takes no picture beside the sample: leave images (--image) out")


def _file(options: list[str], flag: str) -> str:
    return options[options.index(flag) + 1]
