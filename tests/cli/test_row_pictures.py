"""Tables whose rows start from pictures: paths beside the table, strength, masks, images for ControlNets."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from ddim_edge.bundle.bundle import Bundle
from ddim_edge.cli.requests_table import read_table
from ddim_edge.cli.row_pictures import RowPictures
from ddim_edge.errors import ConfigError
from ddim_edge.images.encode import read_recipe
from tests.helpers.command_line import Invoke


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A folder with two pictures, a mask of the model's size, and one of another."""
    folder = tmp_path / "orders"
    folder.mkdir()
    Image.linear_gradient("L").resize((8, 8)).save(folder / "ramp.png")
    Image.radial_gradient("L").resize((16, 16)).save(folder / "round.jpg")
    Image.fromarray(np.where(np.arange(8) < 4, 0, 255).astype(np.uint8)[None].repeat(8, 0)).save(folder / "mask.png")
    Image.new("L", (9, 8)).save(folder / "small.png")
    return folder


def table(orders: Path, text: str) -> Path:
    path = orders / "t.csv"
    path.write_text(text)
    return path


TABLE = "init_image,mask,strength,seed\nramp.png,,0.5,3\nround.jpg,mask.png,,4\n,,,5\n"


def test_each_row_starts_from_its_pictures(invoke: Invoke, orders: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    common = (tiny_bundle, "--labels", "dog", "--steps", 4, "--batch-size", 1, "--quiet")
    assert invoke("run", *common, "--requests", table(orders, TABLE), "-o", "rows/").code == 0
    recipes = [read_recipe(tmp_path / "rows" / f"{row:06d}.png") for row in range(3)]
    assert [recipe.get("strength") for recipe in recipes] == [0.5, None, None]
    assert [sorted(recipe.get("origin", {})) for recipe in recipes] == [["image"], ["image", "mask"], []]
    plain = ("run", *common, "-n", 1, "-o")
    assert invoke(*plain, "0.png", "--init-image", orders / "ramp.png", "--strength", 0.5, "--seed", 3).code == 0
    pictures = ("--init-image", orders / "round.jpg", "--mask", orders / "mask.png")
    assert invoke(*plain, "1.png", *pictures, "--seed", 4).code == 0
    for row in range(2):
        made, alone = Image.open(tmp_path / f"rows/{row:06d}.png"), Image.open(tmp_path / f"{row}.png")
        assert np.array_equal(np.asarray(made), np.asarray(alone))


def test_a_run_goes_on_unless_a_picture_has_changed(invoke: Invoke, orders: Path, tiny_bundle: Path) -> None:
    command = ("run", tiny_bundle, "--requests", table(orders, TABLE), "--batch-size", 1, "-o", "rows/")
    assert "3 images" in invoke(*command).out
    assert "finished before: 3 images of this run were there" in invoke(*command).out
    Image.new("L", (8, 8), 77).save(orders / "ramp.png")
    assert "(1 image, " in invoke(*command).out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("init_image\nramp.png\nnone.png\n", "none.png is not there"),
        ("init_image\nt.csv\n", "t.csv is not a picture"),
        ("init_image,mask\nramp.png,small.png\n", "small.png has 9x8 pixels"),
        ("mask\nmask.png\n", "a mask needs an initial image"),
        ("strength\n0.5\n", "strength 0.5 needs an initial image"),
        ("init_image,strength\nramp.png,2\n", "strength must be a number from 0 to 1"),
        ("init_image,strength\nramp.png,x\n", "strength must be a number, not 'x'"),
        ("control_images\nramp.png\n", "has no ControlNet"),
        ("control_scale\n1\n", "has no ControlNet: leave control_scale"),
        ("control_scale\nx\n", "control_scale must be a number for each ControlNet"),
        ("safety_checker\nfalse\n", "has no safety checker"),
    ],
)
def test_bad_rows(invoke: Invoke, orders: Path, tiny_bundle: Path, tmp_path: Path, text: str, message: str) -> None:
    outcome = invoke("run", tiny_bundle, "--requests", table(orders, text), "--output", tmp_path / "out/")
    assert outcome.failed_with("row 2: " if "none.png" in text else "row 1: ", message)
    assert not (tmp_path / "out").exists()


def test_a_picture_with_broken_pixels_is_an_error_of_its_row(invoke: Invoke, orders: Path, tiny_bundle: Path) -> None:
    whole = (orders / "ramp.png").read_bytes()
    (orders / "broken.png").write_bytes(whole[: whole.index(b"IDAT") + 8])
    command = ("run", tiny_bundle, "--requests", table(orders, "init_image\nbroken.png\n"), "-o", "rows/")
    assert invoke(*command).failed_with("", "broken.png is not a picture that can be read")


def test_pictures_on_the_command_line_are_columns(invoke: Invoke, orders: Path, tiny_bundle: Path) -> None:
    command = ("run", tiny_bundle, "--requests", table(orders, TABLE), "-o", "rows/")
    assert invoke(*command, "--control-image", "a.png").failed_with("give control_images there, not --control-image")


def test_images_for_controlnets_are_read_beside_the_table(orders: Path) -> None:
    controls = [SimpleNamespace(channels=3), SimpleNamespace(channels=1)]
    bundle = cast(Bundle, SimpleNamespace(controls=controls, image_shape=lambda _height, _width: (3, 8, 8)))
    (row,) = read_table(table(orders, 'control_images,control_scale\n"ramp.png, round.jpg","0.5,1"\n')).rows
    assert row == {"control_images": ["ramp.png", "round.jpg"], "control_scale": (0.5, 1.0)}
    read: dict[str, Any] = RowPictures(bundle, orders, heads=False).options(row)
    assert read["control_images"] == [orders / "ramp.png", orders / "round.jpg"]
    black = RowPictures(bundle, orders, heads=True).options(row)["control_images"]
    assert [each.shape for each in black] == [(1, 3, 8, 8), (1, 1, 8, 8)]
    with pytest.raises(ConfigError, match=r"none\.png is not there"):
        RowPictures(bundle, orders, heads=True).options({"control_images": ["ramp.png", "none.png"]})
