"""Files in safetensors: beside the package, and files that are broken."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from ddim_edge.arrays import Array
from ddim_edge.errors import ConfigError
from ddim_edge.lora.safetensors import open_safetensors, write_safetensors


def test_the_package_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, Array] = {
        "a": random.standard_normal((3, 4)).astype(np.float32),
        "b": random.standard_normal(5).astype(np.float16),
        "number": np.array(2.5, np.float32),
        "nothing": np.empty((0, 4), np.float32),
    }
    write_safetensors(tmp_path / "ours", arrays, {"rank": "4"})
    safetensors.numpy.save_file(arrays, tmp_path / "theirs", {"rank": "4"})
    theirs = safetensors.numpy.load_file(tmp_path / "ours")
    for path in ("ours", "theirs"):
        file = open_safetensors(tmp_path / path)
        assert file.metadata == {"rank": "4"}
        assert file.tensors.keys() == theirs.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(theirs[name], array)
            np.testing.assert_array_equal(file.read(name), array.astype(np.float32))
            assert file.mapped(name).dtype == array.dtype
            np.testing.assert_array_equal(file.mapped(name), array)
            assert not file.mapped(name).flags.writeable or not array.size


def with_header(path: Path, header: object, numbers: bytes = bytes(16)) -> Path:
    contents = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(contents)) + contents + numbers)
    return path


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[1]", "must hold a JSON object"),
        (b"{ ", "is not JSON"),
        (b"[" * 10_000, "is nested too deeply|is not JSON"),
        ({"x": 1}, "must be an object"),
        ({"x": {"dtype": "F32", "shape": [4]}}, "the entry of 'x' is broken"),
        ({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0]}}, "the entry of 'x' is broken"),
        ({"x": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}, "the entry of 'x' is broken"),
        ({"x": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, r"shape\[0\] must be from 0"),
        ({"x": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]}}, "is cut short"),
        ({"__metadata__": {"rank": 4}}, "must be a string"),
    ],
)
def test_broken_headers(header: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_safetensors(with_header(tmp_path / "file", header))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("contents", [b"", b"short", bytes(8), b"\xff" * 16, struct.pack("<Q", 50) + b"{}"])
def test_files_of_another_kind(contents: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(contents)
    with pytest.raises(ConfigError, match=r"is not a file in safetensors|is cut short"):
        open_safetensors(tmp_path / "file")


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    file = open_safetensors(with_header(tmp_path / "f", {"x": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]}}))
    with pytest.raises(ConfigError, match="'x' is 'I64', not one of F32, F16, BF16"):
        file.read("x")
