"""JPEG and WebP files hold the recipe, and a file that is cut off is known as such."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddim_edge.images.encode import read_recipe
from ddim_edge.images.formats import image_bytes, is_whole

RECIPE = {"model": "Ångström \udce9", "prompts": ["猫"], "seed": 3, "eta": 0.1}
IMAGE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
LOSSY = [".jpg", ".jpeg", ".webp"]


@pytest.mark.parametrize("suffix", [".png", *LOSSY])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_has_its_recipe(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(image_bytes(np.resize(IMAGE, (16, 24, channels)), suffix, RECIPE))
    assert read_recipe(path) == RECIPE
    assert is_whole(path, RECIPE)
    assert not is_whole(path, {**RECIPE, "seed": 4})


@pytest.mark.parametrize("suffix", LOSSY)
def test_a_lossy_picture_is_near_the_image(suffix: str) -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (64, 64, 3))
    with Image.open(io.BytesIO(image_bytes(smooth, suffix, {}))) as picture:
        assert picture.format == ("WEBP" if suffix == ".webp" else "JPEG")
        np.testing.assert_allclose(np.asarray(picture).astype(int), smooth.astype(int), atol=6)


@pytest.mark.parametrize("suffix", [".png", *LOSSY, ".npy"])
def test_a_file_that_is_cut_off_is_not_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    contents = image_bytes(IMAGE, suffix, RECIPE)
    path.write_bytes(contents)
    assert is_whole(path, RECIPE)
    for size in {0, 1, 20, len(contents) // 2, len(contents) - 20, len(contents) - 1}:
        path.write_bytes(contents[:size])
        assert not is_whole(path, RECIPE), size


@pytest.mark.parametrize("suffix", LOSSY)
def test_a_recipe_too_long_for_a_jpeg_file_is_left_out(tmp_path: Path, suffix: str) -> None:
    path, long = tmp_path / f"x{suffix}", {"prompts": ["x" * 70_000]}
    path.write_bytes(image_bytes(IMAGE, suffix, long))
    assert is_whole(path, long)


@pytest.mark.parametrize("comment", [b"", b"ASCII\0\0\0{", b"UNICODE\0x", b"ASCII\0\0\0\xff"])
def test_a_comment_that_is_no_recipe(tmp_path: Path, comment: bytes) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0x9286: comment}
    Image.fromarray(IMAGE).save(tmp_path / "x.jpg", exif=exif)
    with pytest.raises(Exception, match=r"has no recipe|is not JSON") as raised:
        read_recipe(tmp_path / "x.jpg")
    assert type(raised.value).__name__ == "ConfigError"


def test_the_level_changes_bytes_and_no_pixel() -> None:
    image = np.tile(IMAGE, (4, 4, 1))
    default, *files = (image_bytes(image, ".png", {}, level) for level in (None, 0, 1, 6, 9))
    assert default == files[2]
    assert len(files[0]) > len(files[1]) >= len(files[3])
    for contents in files:
        with Image.open(io.BytesIO(contents)) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image)
