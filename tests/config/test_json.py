"""Reading of JSON objects, and their schemas."""

import os
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.config import read_json
from ddim_edge.config.json_file import MAX_BYTES
from ddim_edge.config.schema import any_of, check_json, flag, list_of, mapping_of, real, text, whole
from ddim_edge.errors import ConfigError, shown

SCHEMA = {
    "steps": whole(1, 1000),
    "eta": real(0, 1),
    "clip": flag,
    "name": text(8),
    "shape": list_of(whole(1, 64), longest=3),
    "labels": mapping_of(text(8), longest=2),
    "size": any_of(list_of(whole(1, 8)), whole(1, 8)),
}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b"\xff\xfe{}", "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[1, 2]", "must hold a JSON object"),
        (b" " * (MAX_BYTES + 1), "more than 16,777,216 bytes"),
    ],
)
def test_hostile_file_is_a_config_error(tmp_path: Path, contents: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(contents)
    with pytest.raises(ConfigError, match=message):
        read_json(tmp_path / "a.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_and_folder_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", tmp_path):
        with pytest.raises(ConfigError, match=r"not a regular file|Is a directory"):
            read_json(path)


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0}, {"steps": 1.5}, {"steps": True}, {"steps": 10**12}, {"eta": float("nan")}, {"eta": "1"},
        {"eta": 2}, {"clip": 1},
        {"name": 3}, {"name": "123456789"}, {"shape": 3}, {"shape": [1, 2, 3, 4]}, {"shape": [0]},
        {"labels": []}, {"labels": {"a": 1}}, {"labels": {"a": "", "b": "", "c": ""}}, {"size": "8"}, {"size": [9]},
    ],
)  # fmt: skip
def test_wrong_value_names_its_key(values: dict[str, Any]) -> None:
    (key,) = values
    with pytest.raises(ConfigError, match=rf"^file: {key}\b"):
        check_json(values, SCHEMA, "file")


@pytest.mark.parametrize(
    "values",
    [
        {}, {"steps": None}, {"unknown": [[[]]]}, {"steps": 1000, "eta": 0, "clip": False, "name": "x"},
        {"shape": [1, 64]},
        {"labels": {"0": "a"}, "size": [8, 8]}, {"size": 8},
    ],
)  # fmt: skip
def test_right_values_pass(values: dict[str, Any]) -> None:
    check_json(values, SCHEMA, "file")


@pytest.mark.parametrize(
    "value", ["x" * 10**6, list(range(10**5)), {"a": "\n" * 1000}, 10**3000, [["y" * 500] * 9] * 9]
)
def test_echo_of_an_input_is_short_and_one_line(value: object) -> None:
    assert len(shown(value)) <= 200
    assert "\n" not in shown(value)
