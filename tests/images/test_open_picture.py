"""Pictures from strangers: known formats, regular files and a bounded number of pixels; anything else is one error."""

import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, PngImagePlugin

from ddim_edge.errors import ConfigError
from ddim_edge.images.decode import read_control, read_mask, read_picture
from ddim_edge.images.encode import RECIPE_KEY, png_bytes, read_recipe
from ddim_edge.images.open_picture import FORMATS, MAX_PIXELS

SHAPE = (3, 8, 8)
READERS: list[Callable[[Path], object]] = [
    lambda path: read_picture(path, SHAPE),
    lambda path: read_control(path, SHAPE),
    lambda path: read_mask(path, SHAPE),
    read_recipe,
]
READER_NAMES = ["picture", "control", "mask", "recipe"]


def _saved(picture: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format)
    return buffer.getvalue()


def _chunk(name: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", zlib.crc32(name + contents))


def _png(*chunks: bytes, size: tuple[int, int] = (8, 8)) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    bomb = b"ddim-edge\0\1\0\0\0" + zlib.compress(b"[" * 50_000_000)
    return _png(_chunk(b"iTXt", bomb), _chunk(b"IDAT", zlib.compress(bytes(72))))


def _deep_recipe() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_itxt(RECIPE_KEY, "[" * 100_000)
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()


HOSTILE = {
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n",
    "lab tiff": _saved(Image.new("LAB", (8, 8)), "TIFF"),
    "gif": _saved(Image.new("L", (8, 8)), "GIF"),
    "text bomb": _text_bomb(),
    "huge": _png(_chunk(b"IDAT", b""), size=(2**13, 2**13 + 1)),
    "very huge": _png(_chunk(b"IDAT", b""), size=(2**20, 2**20)),
    "no pixels": _png(),
    "truncated": png_bytes(np.zeros((99, 99, 1), np.uint8), {})[:-40],
    "empty": b"",
}


@pytest.mark.parametrize("reader", READERS, ids=READER_NAMES)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path: Path, reader: Callable[[Path], object], name: str) -> None:
    (tmp_path / "x.png").write_bytes(HOSTILE[name])
    with pytest.raises(ConfigError) as caught:
        reader(tmp_path / "x.png")
    assert len(str(caught.value)) < 400


def test_a_recipe_that_is_nested_deeply(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(_deep_recipe())
    with pytest.raises(ConfigError, match="nested too deeply"):
        read_recipe(tmp_path / "x.png")


def test_ghostscript_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(*_arguments: object) -> None:
        raise AssertionError("Ghostscript")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", runs)
    (tmp_path / "x.png").write_bytes(HOSTILE["postscript"])
    for reader in READERS:
        with pytest.raises(ConfigError, match="is not a picture in PNG, JPEG, WEBP"):
            reader(tmp_path / "x.png")


@pytest.mark.parametrize("reader", READERS, ids=READER_NAMES)
def test_only_regular_files_are_opened(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(
            ConfigError, match=r"is not a picture that can be read: (it is not a regular|Is a directory)"
        ):
            reader(path)


def test_the_limit_of_pixels_is_the_same_for_all(tmp_path: Path) -> None:
    assert MAX_PIXELS == 8192 * 8192
    (tmp_path / "x.png").write_bytes(HOSTILE["huge"])
    with pytest.raises(ConfigError, match="8192x8193 pixels are over the limit"):
        read_picture(tmp_path / "x.png", SHAPE)


@pytest.mark.parametrize("image_format", FORMATS)
def test_known_formats_are_read_whatever_their_name(tmp_path: Path, image_format: str) -> None:
    (tmp_path / "x.dat").write_bytes(_saved(Image.new("RGB", (8, 8), "white"), image_format))
    assert read_picture(tmp_path / "x.dat", SHAPE).min() > 0.99


def test_a_recipe_behind_the_pixels_is_found(tmp_path: Path) -> None:
    recipe = json.dumps({"seed": 3}).encode()
    pixels = _chunk(b"IDAT", zlib.compress(bytes(72)))
    (tmp_path / "x.png").write_bytes(_png(pixels, _chunk(b"iTXt", b"ddim-edge\0\0\0\0\0" + recipe)))
    assert read_recipe(tmp_path / "x.png") == {"seed": 3}
