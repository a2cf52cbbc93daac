"""The comparison at full size, with tiny models: its plan, its figures, its tables, and runs of two sides."""

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench import results, tables
from bench.full_size import __main__ as command
from bench.full_size import things, wanted
from bench.full_size.measure import RunFailedError, measure
from bench.full_size.runs import Run, keep, needs_of
from bench.full_size.sides import ALL_SIDES, QUICK, SIDES
from bench.full_size.summary import summarize, summarize_caches
from bench.full_size.workloads import WORKLOADS
from bench.tables.full_size import full_size, full_size_caches, headline

if TYPE_CHECKING:
    from tests.helpers.exported import Exports

MEASURED = {
    "seconds": 30.0,
    "first_step_after": 12.0,
    "step_seconds": [10.0, 8.0, 8.0, 9.0],
    "after_steps": 4.0,
    "private_mib": 1000,
    "mapped_mib": 3000,
}


def test_sides_take_turns_within_a_workload() -> None:
    runs = command.planned(("diffusers", "ours"), ("lcm-4", "sd-1"), 2)
    assert [(run.workload, run.round, run.side) for run in runs] == [
        ("sd-1", 0, "ours"),
        ("sd-1", 0, "diffusers"),
        ("sd-1", 1, "ours"),
        ("sd-1", 1, "diffusers"),
        ("lcm-4", 0, "ours"),
        ("lcm-4", 0, "diffusers"),
        ("lcm-4", 1, "ours"),
        ("lcm-4", 1, "diffusers"),
    ]


def test_every_side_can_be_made() -> None:
    for name, side in ALL_SIDES.items():
        for workload in side.workloads:
            assert needs_of(Run(name, workload, 0)), name
            assert WORKLOADS[workload].model in side.folders
            for thing in things.all_needed(needs_of(Run(name, workload, 0))):
                assert set(things.THINGS[thing].needs) <= set(things.THINGS)
        assert (Path(command.__file__).parent / "workers" / f"{side.worker}.py").exists()
    assert set(QUICK) <= set(SIDES)
    assert set(command.CACHES) <= set(ALL_SIDES)


def test_what_is_needed_comes_first(tmp_path: Path) -> None:
    assert things.all_needed(["genai", "build-cpu"]) == ["env-genai", "source", "bundle", "genai", "build-cpu"]
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model_index.json").touch()
    assert things.missing(["build-cpu"], tmp_path) == ["source", "build-cpu"]


def test_a_disk_without_room_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1e9))
    outcome = CliRunner().invoke(command.main, ["--work", str(tmp_path), "--quick"])
    assert outcome.exit_code == 1
    assert "has 1 GB free" in outcome.output


def test_a_thing_that_cannot_be_made_is_the_reason_of_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = things.Thing(mark="a", gigabytes=0, minutes=0, commands=((sys.executable, "-c", "raise SystemExit('no')"),))
    after = things.Thing(mark="b", gigabytes=0, minutes=0, commands=(), needs=("fails",))
    monkeypatch.setattr(things, "THINGS", {"fails": fails, "after": after})
    failed = things.make_all(["fails", "after"], tmp_path, os.environ, lambda _text: None)
    assert failed == dict.fromkeys(("fails", "after"), "fails could not be made: no")
    assert not (tmp_path / "b").exists()


WORKER = """
import json, pathlib, sys, time
held = bytearray(60 * 2**20)
time.sleep(0.2)
now = time.monotonic()
notes = {"began": now - 3, "steps": [now - 1, now - 0.5]}
pathlib.Path(sys.argv[1], "notes.json").write_text(json.dumps(notes))
"""


def test_a_process_is_measured(tmp_path: Path) -> None:
    record = measure([sys.executable, "-c", WORKER, str(tmp_path)], os.environ, tmp_path, 60)
    assert record["step_seconds"] == pytest.approx([2, 0.5], abs=1e-3)
    assert record["private_mib"] >= 60
    assert record["mapped_mib"] > 0
    assert 0.5 <= record["after_steps"] <= record["seconds"] + 0.5


def test_a_process_that_fails_has_its_last_line_as_reason(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="ended with code 1: ValueError: broken"):
        measure([sys.executable, "-c", "raise ValueError('broken')"], os.environ, tmp_path, 60)
    with pytest.raises(RunFailedError, match="longer than it may"):
        measure([sys.executable, "-c", "import time; time.sleep(600)"], os.environ, tmp_path, 0.1)


def _made(work: Path, side: str, workload: str, latents: float, **changes: Any) -> None:
    run = Run(side, workload, 0)
    keep(run, work, {**MEASURED, **changes})
    np.save(run.folder(work) / "latents.npy", np.full((1, 4, 2, 2), latents, np.float32))


def test_runs_become_rows(tmp_path: Path) -> None:
    _made(tmp_path, "ours", "sd-4", 2.02)
    _made(tmp_path, "diffusers", "sd-4", 2.0, step_seconds=[11.0, 10.0, 10.0, 10.0])
    keep(Run("genai", "sd-1", 0), tmp_path, {"reason": "it broke"})
    record = summarize(tmp_path)
    ours = record["sides"]["ours"]["runs"]["sd-4"]
    assert ours["step_seconds"] == 8  # the first step of several warms up
    assert ours["rms"] == pytest.approx(0.01, rel=1e-3)
    table = full_size(record)
    assert "| ddim-edge, float32 | 8.00 | 0.80 |" in table
    assert "- OpenVINO GenAI: it broke" in table
    assert "| a guided step in float32, of diffusers' in float32 | 0.80" in table
    assert "| ddim-edge, float32 | 8.00 s | not measured | 1.05 GB | 12.0 s |" in headline(record)


def test_caches_have_a_table_of_their_own_with_all_steps(tmp_path: Path) -> None:
    _made(tmp_path, "ours", "sd-20", 2.0)
    assert summarize_caches(tmp_path)["sides"] == {}
    _made(tmp_path, "ours-deep", "sd-20", 2.1, step_seconds=[10.0, 1.0, 1.0, 2.0])
    table = full_size_caches(summarize_caches(tmp_path))
    assert "| ddim-edge, float32, --cache deep:3 | 14.0 | 35.0 | 0.40 | 1.05 |" in table
    assert "| 20 guided steps in float32 with --cache deep:3, of those without | 0.40" in table
    assert "--cache" not in full_size(summarize(tmp_path))


def test_what_was_wanted_is_told_where_it_was_measured() -> None:
    fast, slow = ({"runs": {"sd-1": {**MEASURED, "step_seconds": step}}} for step in (5.0, 10.0))
    lines = {line["title"]: line for line in wanted.verdicts({"ours-bf16": fast, "diffusers": slow})}
    assert lines["a guided step in bfloat16, of diffusers' in float32"]["value"] == 0.5
    assert lines["start to the end of the first step, less 1.15 steps: bfloat16"]["value"] == 12 - 1.15 * 5
    assert "private memory with --max-memory 1.2GB" not in lines


@pytest.fixture
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results and README files of their own."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- full_size -->\n<!-- /full_size -->\n")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(tables, "README", readme)
    monkeypatch.setattr(tables, "FRONT", readme)
    monkeypatch.setattr(tables, "TABLES", {"full_size": full_size})
    monkeypatch.setattr(
        tables, "render", lambda: tables._fill(readme, {"full_size": tables._body("full_size", full_size)})
    )
    return readme


def test_a_run_from_the_command_to_the_table(own_results: Path, plain_bundle: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "pixels").mkdir(parents=True)
    (work / "pixels" / "bundle").symlink_to(plain_bundle)
    arguments = ["--work", str(work), "--workloads", "pixels-20", "--sides", "ours"]
    outcome = CliRunner().invoke(command.main, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert "1 runs" in outcome.output
    record = json.loads((tmp_path / "results" / "full_size.json").read_text())
    assert record["sides"]["ours"]["runs"]["pixels-20"]["rounds"] == 1
    assert "ddim-edge, float32 |  |  |" in own_results.read_text()
    again = CliRunner().invoke(command.main, arguments)
    assert "0 runs" in again.output  # what was measured is kept


@pytest.mark.bench
@pytest.mark.usefixtures("own_results")
def test_both_sides_make_the_same_latents(exports: "Exports", tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    source = exports.source("stable-diffusion")
    (work / "source").symlink_to(source)
    exports.export(source, work / "bundle")
    arguments = ["--work", str(work), "--workloads", "sd-1", "--sides", "ours,diffusers"]
    outcome = CliRunner().invoke(command.main, arguments)
    assert outcome.exit_code == 0, outcome.output
    ours = json.loads((tmp_path / "results" / "full_size.json").read_text())["sides"]["ours"]["runs"]["sd-1"]
    assert ours["largest"] < 1e-3
