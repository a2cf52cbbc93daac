"""Pictures of strangers: what is refused before it is decoded, and what the decoder's errors become."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddim_edge.images.uploads import UploadError, decode_upload
from tests.helpers.pictures import many_scans, too_long_palette

SHAPE = (1, 8, 8)
MANY = 1_000_000


def contents(picture: Image.Image, name: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def animation(frames: int) -> bytes:
    pictures = [Image.new("L", (8, 8), number % 256) for number in range(frames)]
    return contents(pictures[0], "PNG", save_all=True, append_images=pictures[1:])


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (contents(Image.new("L", (1001, 1000))), "1001x1000 is over this server's limit of 1000000 pixels"),
        (many_scans(101), "more than 100 scans"),
        (animation(101), "more than 100 frames"),
        (contents(Image.new("L", (8, 8)), "GIF"), "not a picture in PNG, JPEG, WEBP"),
        (contents(Image.effect_noise((99, 99), 9))[:-500], "the file cannot be decoded (OSError)"),
        (b"%!PS-Adobe-3.0", "not a picture"),
        (too_long_palette(), "the file cannot be decoded (ValueError)"),
    ],
    ids=["pixels", "scans", "frames", "format", "cut off", "program", "palette"],
)
def test_what_is_refused(image: bytes, words: str) -> None:
    with pytest.raises(UploadError) as caught:
        decode_upload(image, None, SHAPE, MANY)
    assert str(caught.value).startswith("image: ")
    assert words in str(caught.value)
    good = contents(Image.new("L", (8, 8)))
    with pytest.raises(UploadError) as caught:
        decode_upload(good, image, SHAPE, MANY)
    assert caught.value.param == "mask"


@pytest.mark.parametrize("image", [many_scans(100), animation(100)], ids=["scans", "frames"])
def test_what_is_just_small_enough(image: bytes) -> None:
    upload = decode_upload(image, None, SHAPE, MANY)
    assert upload.image.shape == (8, 8, 1)
    assert upload.image.dtype == np.uint8


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading image file")])
def test_too_little_memory_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def load(_picture: Image.Image) -> None:
        raise error

    image = contents(Image.new("L", (8, 8)))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(MemoryError):
        decode_upload(image, None, SHAPE, MANY)
