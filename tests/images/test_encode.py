"""Samples become pixels as diffusers makes them, and pictures carry their recipe."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, PngImagePlugin

import ddim_edge
from ddim_edge.images.encode import RECIPE_KEY, gif_bytes, grid, npy_bytes, png_bytes, read_recipe, to_pillow, to_pixels

finite = st.floats(-3, 3, width=32)
samples = hnp.arrays(np.float32, hnp.array_shapes(min_dims=4, max_dims=4, max_side=5), elements=finite)


@settings(deadline=None)
@given(sample=samples)
def test_pixels_are_those_of_diffusers(sample: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    theirs = VaeImageProcessor.pt_to_numpy(VaeImageProcessor.denormalize(torch.from_numpy(sample)))
    np.testing.assert_array_equal(to_pixels(sample), (theirs * 255).round().astype("uint8"))


def test_the_ends_and_the_middle_of_the_range() -> None:
    values = np.array([-2, -1, 0, 1, 2], np.float32).reshape(1, 1, 1, 5)
    assert to_pixels(values).reshape(-1).tolist() == [0, 0, 128, 255, 255]
    assert to_pixels(np.zeros((2, 3, 4, 5), np.float32)).shape == (2, 4, 5, 3)


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2), (5, 2, 3), (16, 4, 4), (17, 4, 5)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_holds_every_image_row_by_row_on_black(count: int, rows: int, columns: int, channels: int) -> None:
    images = np.random.default_rng(count).integers(1, 256, (count, 2, 3, channels), np.uint8)
    sheet = grid(images)
    assert sheet.shape == (rows * 2, columns * 3, channels)
    for position in range(rows * columns):
        row, column = divmod(position, columns)
        tile = sheet[2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
        expected = images[position] if position < count else np.zeros_like(tile)
        np.testing.assert_array_equal(tile, expected)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_png_holds_the_pixels(channels: int, mode: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    with Image.open(io.BytesIO(png_bytes(image, {}))) as picture:
        assert picture.mode == mode
        np.testing.assert_array_equal(np.asarray(picture).reshape(image.shape), image)


def test_two_channels_are_no_picture() -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"a picture has 1, 3 or 4 channels, not 2.* save as npy instead"):
        to_pillow(np.zeros((2, 2, 2), np.uint8))


texts = st.text(max_size=8)
json_values = (
    texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.lists(texts, max_size=3)
)


@settings(deadline=None)
@given(recipe=st.dictionaries(texts, json_values, max_size=5))
def test_a_recipe_comes_back(tmp_path_factory: pytest.TempPathFactory, recipe: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "recipe.png"
    path.write_bytes(png_bytes(np.zeros((1, 1, 1), np.uint8), recipe))
    assert read_recipe(path) == recipe


def test_a_recipe_is_readable_text_in_the_file() -> None:
    contents = png_bytes(np.zeros((1, 1, 1), np.uint8), {"label": "Ångström 猫"})
    assert json.dumps({"label": "Ångström 猫"}, ensure_ascii=False).encode() in contents


def test_a_recipe_of_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(np.zeros((1, 1, 1), np.uint8), {"model": "\udce9", "label": "Å"}))
    assert read_recipe(path) == {"model": "\udce9", "label": "Å"}


def _png(path: Path, text: str | None) -> None:
    chunk = PngImagePlugin.PngInfo()
    if text is not None:
        chunk.add_itxt(RECIPE_KEY, text)
    Image.new("L", (1, 1)).save(path, "PNG", pnginfo=chunk)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no recipe: only PNG, JPEG and WebP files written by ddim-edge have one"),
        ("{", "the recipe in .* is not JSON"),
        ("[1]", "the recipe in .* must hold a JSON object, not a list"),
        ("[" * 100_000, "the recipe in .* is nested too deeply"),
    ],
)
def test_a_png_without_a_usable_recipe(tmp_path: Path, text: str | None, message: str) -> None:
    _png(tmp_path / "x.png", text)
    with pytest.raises(ddim_edge.ConfigError, match=message):
        read_recipe(tmp_path / "x.png")


def test_files_that_are_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="is not there"):
        read_recipe(tmp_path / "x.png")
    for contents in (b"", b"text", png_bytes(np.zeros((9, 9, 1), np.uint8), {"a": 1})[:40]):
        (tmp_path / "x.png").write_bytes(contents)
        with pytest.raises(ddim_edge.ConfigError, match=r"is not a picture (in PNG|that can be read)|has no recipe"):
            read_recipe(tmp_path / "x.png")
    with pytest.raises(ddim_edge.ConfigError, match="is not a picture that can be read"):
        read_recipe(tmp_path)
    Image.new("L", (1, 1)).save(tmp_path / "x.jpg")
    with pytest.raises(ddim_edge.ConfigError, match="has no recipe"):
        read_recipe(tmp_path / "x.jpg")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gif_plays_its_frames_and_rests_on_the_last(channels: int) -> None:
    frames = [np.full((4, 4, channels), level, np.uint8) for level in (10, 120, 250)]
    with Image.open(io.BytesIO(gif_bytes(frames))) as animation:
        assert getattr(animation, "n_frames") == 3  # noqa: B009
        durations = []
        for number, frame in enumerate(frames):
            animation.seek(number)
            durations.append(animation.info["duration"])
            np.testing.assert_array_equal(np.asarray(animation.convert("L")), frame[:, :, 0])
    assert durations == [60, 60, 1500]


def test_an_array_comes_back() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 2, 1), np.uint8)
    np.testing.assert_array_equal(np.load(io.BytesIO(npy_bytes(images))), images)
