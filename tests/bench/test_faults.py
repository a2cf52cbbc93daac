"""Kills of commands: what the measurement calls torn, and a few kills of a folder run."""

import json
from pathlib import Path

import pytest

from bench.faults.__main__ import has_fault, measure
from bench.faults.scenarios import SCENARIOS, torn
from bench.tables.faults import faults
from tests.helpers.hashing import sha256_of


def test_what_is_torn() -> None:
    whole = {"a": b"1", "b": b"2"}
    assert torn({"a": b"1"}, whole) == []
    assert torn({"a": b"", "b": b"2", "c": b"3"}, whole) == ["a", "c"]


def test_temporary_and_unfinished_files_are_not_compared(tmp_path: Path) -> None:
    for name in ("cache/x/built.json", "cache/x/model.onnx", "cache/y/model.onnx", "cache/x/.z.part", "other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    built = {"sha256": {"model.onnx": sha256_of(tmp_path / "cache/x/model.onnx")}}
    (tmp_path / "cache/x/built.json").write_text(json.dumps(built))
    found = SCENARIOS["build"].contents(tmp_path)
    assert found == {"cache/x/built.json": b"whole", "cache/x/model.onnx": b"whole"}
    (tmp_path / "cache/x/model.onnx").write_text("2")
    assert SCENARIOS["build"].contents(tmp_path)["cache/x/model.onnx"] == b"torn"


def test_networks_of_an_unfinished_export_are_whole(tmp_path: Path) -> None:
    for name in ("out/export.json", "out/unet/export.json", "out/unet/model.onnx", "out/tokenizer/vocab.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    assert set(SCENARIOS["export"].contents(tmp_path)) == {"out/unet/export.json", "out/unet/model.onnx"}
    (tmp_path / "out" / "model_index.json").write_text("1")
    assert len(SCENARIOS["export"].contents(tmp_path)) == 5


def test_the_shares_are_all_kills() -> None:
    assert sum(round(scenario.share * 200) for scenario in SCENARIOS.values()) == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "folder"])
def test_a_few_kills(name: str) -> None:
    record = measure(SCENARIOS[name], 12, 1, lambda _text: None, disks=False)
    assert record["kills"] >= 2
    assert record["killed"] >= 1
    assert not has_fault(record), record
    row = {**record, "full_disk": "not measured", "read_only": "not measured"}
    assert "| 0 | 0 |" in faults({"seed": 1, "commands": {name: row}})
