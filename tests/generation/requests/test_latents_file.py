"""Latents files from strangers: their headers are compared before anything is read."""

import io
import json
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddim_edge.errors import ConfigError
from ddim_edge.generation.requests.latents_file import Latents, read_latents

SHAPE = (1, 8, 8)
RECIPE = {"seed": 3}


def _member(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _members(**changes: bytes) -> dict[str, bytes]:
    parts = {
        "recipe": _member(np.array(json.dumps(RECIPE))),
        "alpha_bar": _member(np.array(0.5)),
        "latents": _member(np.zeros((2, *SHAPE), np.float32)),
    }
    return {**parts, **changes}


def _write(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, contents in members.items():
            archive.writestr(f"{name}.npy", contents)
    return path


def test_what_encode_wrote_comes_back(tmp_path: Path) -> None:
    latents = Latents(np.ones((2, *SHAPE), np.float32), RECIPE, 0.25)
    (tmp_path / "l.npz").write_bytes(latents.to_bytes())
    again = read_latents(tmp_path / "l.npz", SHAPE)
    np.testing.assert_array_equal(again.samples, latents.samples)
    assert (again.recipe, again.alpha_bar) == (RECIPE, 0.25)


@pytest.mark.parametrize("shape", [(1, 8, 8, 8), (2, 1, 8, 9), (8, 8), ()])
def test_another_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = _write(tmp_path / "l.npz", _members(latents=_member(np.zeros(shape, np.float32))))
    with pytest.raises(ConfigError, match=r"l\.npz: latents has the shape .*, and the model needs \(N, \(1, 8, 8\)\)"):
        read_latents(path, SHAPE)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (100000000, 1, 8, 8), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (30000000, 1, 8, 8), }\n",
    ],
)
def test_a_bomb_is_not_decompressed(tmp_path: Path, header: str) -> None:
    bomb = _header(header) + bytes(1_000_000)
    path = _write(tmp_path / "l.npz", _members(latents=bomb))
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="is not a latents file"):
            read_latents(path, SHAPE)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "latents",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00\x00\x00",
        _header("{"),
        _header("(" * 500),
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1, 8, 8), }\n"),
        _header("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 8, 8), }\n"),
        _header("{'descr': '<M8[', 'fortran_order': False, 'shape': (1, 1, 8, 8), }\n"),
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (1e9, 1, 8, 8), }\n"),
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 8, 8), }\n"),  # without its values
        _member(np.zeros((2, *SHAPE), np.int32)),
    ],
)
def test_broken_headers(tmp_path: Path, latents: bytes) -> None:
    with pytest.raises(ConfigError, match="is not a latents file: make one with `ddim-edge encode`"):
        read_latents(_write(tmp_path / "l.npz", _members(latents=latents)), SHAPE)


@pytest.mark.parametrize(
    "recipe", ["{", "[" * 100_000, '{"num_images": 1000000000}', '{"model": 3}', '{"label_names": 3}', "[]"]
)
def test_broken_recipes(tmp_path: Path, recipe: str) -> None:
    path = _write(tmp_path / "l.npz", _members(recipe=_member(np.array(recipe))))
    with pytest.raises(ConfigError, match=r"l\.npz: the recipe"):
        read_latents(path, SHAPE)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="is not a latents file"):
            read_latents(path)


def test_compression_that_numpy_does_not_write(tmp_path: Path) -> None:
    path = _write(tmp_path / "l.npz", _members(), zipfile.ZIP_LZMA)
    with pytest.raises(ConfigError, match="is not a latents file"):
        read_latents(path, SHAPE)
