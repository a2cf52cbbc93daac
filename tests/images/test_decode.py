"""Pictures that come in: the rule by which they are fitted, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddim_edge
from ddim_edge.errors import ConfigError
from ddim_edge.images.decode import read_mask, read_picture
from ddim_edge.images.encode import grid, to_pixels
from ddim_edge.images.formats import image_bytes
from tests.helpers.pictures import too_long_palette

GREY, COLOUR, ALPHA = (1, 8, 8), (3, 8, 8), (4, 8, 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.png"


@pytest.mark.parametrize(("mode", "shape"), [("L", GREY), ("RGB", COLOUR), ("RGBA", ALPHA)])
def test_a_picture_that_fits_comes_back_exactly(path: Path, mode: str, shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, shape[0]), np.uint8)
    Image.fromarray(pixels.squeeze(), mode).save(path)
    sample = read_picture(path, shape)
    assert sample.shape == (1, *shape)
    assert sample.dtype == np.float32
    np.testing.assert_array_equal(to_pixels(sample)[0], pixels)


def test_the_middle_is_cut_out_at_the_models_aspect(path: Path) -> None:
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 200
    Image.fromarray(wide).save(path)
    np.testing.assert_array_equal(to_pixels(read_picture(path, GREY)), 200)
    assert read_picture(path, (1, 4, 12)).shape == (1, 1, 4, 12)


def test_it_is_scaled(path: Path) -> None:
    Image.fromarray(np.repeat(np.repeat([[0, 255], [255, 0]], 50, 0), 50, 1).astype(np.uint8)).save(path)
    small = to_pixels(read_picture(path, GREY))[0, :, :, 0]
    assert small[0, 0] < 10
    assert small[0, 7] > 245


def test_exif_says_which_way_is_up(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "in.png", exif=exif)
    turned = to_pixels(read_picture(tmp_path / "in.png", GREY))[0, :, :, 0]
    np.testing.assert_array_equal(turned, pixels[::-1, ::-1])


def test_transparency_is_laid_on_black(path: Path) -> None:
    pixels = np.full((8, 8, 4), 200, np.uint8)
    pixels[:, :4, 3], pixels[:, 4:, 3] = 0, 255
    Image.fromarray(pixels, "RGBA").save(path)
    for shape in (GREY, COLOUR):
        shown = to_pixels(read_picture(path, shape))[0]
        assert (shown[:, :4] == 0).all()
        assert (shown[:, 4:] == 200).all()
    Image.fromarray(pixels, "RGBA").convert("P").save(path, transparency=0)
    assert read_picture(path, COLOUR).shape == (1, *COLOUR)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LA", "I;16"])
def test_every_mode_is_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("in.jpg" if mode in ("CMYK", "YCbCr") else "in.png")
    white = np.full((8, 8), 65535, np.uint16) if mode == "I;16" else np.full((8, 8), 255, np.uint8)
    picture = Image.fromarray(white)
    (picture if mode == "I;16" else picture.convert("RGB").convert(mode)).save(path)
    for shape in (GREY, COLOUR, ALPHA):
        assert (to_pixels(read_picture(path, shape)) >= 254).all()


def test_a_mask_is_white_where_it_is_made_new(path: Path) -> None:
    pixels = np.array([[0, 127, 128, 255] * 2] * 8, np.uint8)
    Image.fromarray(pixels).save(path)
    mask = read_mask(path, COLOUR)
    assert mask.shape == (1, 1, 8, 8)
    np.testing.assert_array_equal(mask[0, 0], pixels > 127)


def test_what_is_refused(path: Path) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"in\.png is not there"):
        read_picture(path, GREY)
    path.write_text("no picture")
    with pytest.raises(ddim_edge.ConfigError, match="is not a picture in PNG, JPEG, WEBP"):
        read_picture(path, GREY)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ddim_edge.ConfigError, match="is not a picture that can be read"):
        read_picture(path, GREY)
    path.write_bytes(too_long_palette())
    with pytest.raises(ddim_edge.ConfigError, match=r"in\.png is not a picture that can be read: palette index"):
        read_picture(path, GREY)
    with pytest.raises(ddim_edge.ConfigError, match="a picture has 1, 3 or 4 channels, not 2"):
        read_picture(path, (2, 8, 8))
    Image.new("L", (8, 9)).save(path)
    with pytest.raises(
        ddim_edge.ConfigError, match="has 8x9 pixels, and the model's images have 8x8: make it that size"
    ):
        read_mask(path, GREY)


def sheet(path: Path, count: int, recipe: dict[str, Any], side: int = 8) -> Path:
    pixels = grid(np.zeros((count, side, side, 1), np.uint8))
    path.write_bytes(image_bytes(pixels, path.suffix, recipe))
    return path


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg", "sheet.webp"])
def test_a_sheet_of_several_images_is_refused(tmp_path: Path, name: str) -> None:
    path = sheet(tmp_path / name, 3, {"num_images": 3})
    with pytest.raises(ConfigError, match=rf"{name}: it is a sheet of 3 images, not one: make it with --num-images 1"):
        read_picture(path, (1, 8, 8))
    with pytest.raises(ConfigError, match="a sheet of 3 images"):
        read_picture(sheet(tmp_path / "other.png", 3, {"num_images": 3, "width": 8, "height": 8}), (1, 16, 16))


@pytest.mark.parametrize(
    "recipe", [{"num_images": 1}, {"num_images": 3, "index": 1}, {"num_images": 3}, {}, {"estimate_after": 2}]
)
def test_one_image_is_no_sheet(tmp_path: Path, recipe: dict[str, Any]) -> None:
    """Nor is one that was cut out of a sheet, and kept its recipe."""
    assert read_picture(sheet(tmp_path / "one.png", 1, recipe), (1, 8, 8)).shape == (1, 1, 8, 8)
