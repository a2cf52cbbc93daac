"""``ddim-edge bench``: its table, and what it does with what fails, is interrupted, or is a baseline."""

import importlib.util
import itertools
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from ddim_edge.benchmark.plan import BASELINE, OURS
from ddim_edge.benchmark.rounds import Cell
from ddim_edge.benchmark.worker import open_ours
from ddim_edge.cli import bench_table as table
from ddim_edge.runtime.workers.child import Record, Respond
from ddim_edge_export import export_folder
from ddim_edge_export.diffusers_baseline.__main__ import open_baseline
from tests.helpers.command_line import Invoke, Outcome

SECONDS = {"image", "prepare", "finish"}
ROUND = {*SECONDS, "steps", "calls", "gpu_memory", "peak_memory"}


def read(outcome: Outcome, code: int = 0) -> dict[str, Any]:
    assert (outcome.code, outcome.out.count("\n")) == (code, 1)
    return dict(json.loads(outcome.out))


def test_a_bench_as_json(invoke: Invoke, tiny_bundle: Path) -> None:
    report = read(
        invoke("bench", tiny_bundle, "-p", "cpu", "-b", "1,3", "-s", "4", "--repeats", "2", "-g", "2", "--json")
    )
    asked = {
        "steps": 4,
        "height": None,
        "width": None,
        "guidance_scale": 2,
        "precision": "float32",
        "no_build": False,
        "repeats": 2,
    }
    assert report["settings"] == asked
    assert (report["interrupted"], report["machine"]["cores"]) == (False, os.cpu_count())
    assert {"ddim-edge", "python", "numpy"} <= report["versions"].keys()
    assert [row["batch"] for row in report["rows"]] == [1, 3]
    for row in report["rows"]:
        assert (row["side"], row["provider"], row["precision"], row["reason"]) == ("ddim-edge", "cpu", "fp32", None)
        assert row["facts"]["guided"] is True
        assert [set(each) for each in row["rounds"]] == [ROUND] * 2
        for each in row["rounds"]:
            assert len(each["steps"]) == len(each["calls"]) == 3  # the last step also makes pixels
            assert all(0 < call < step for call, step in zip(each["calls"], each["steps"], strict=True))
            assert each["image"] > sum(each["steps"]) + each["prepare"]
        assert 0 < row["idle_share"] < 1
        assert row["images_per_second"] == pytest.approx(row["batch"] / row["image"]["median"])
        assert row["peak_memory"] > 2**24


def test_a_bench_as_a_table(invoke: Invoke, tiny_bundle: Path, plain_bundle: Path) -> None:
    outcome = invoke("bench", tiny_bundle, plain_bundle, "-p", "cpu", "-s", "1", "--repeats", "1")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    heads = ["model", "type", "on", "batch", "step", "step p95", "image", "image p95", "images/s", "MiB"]
    assert re.split("  +", lines[2]) == heads
    assert [line.split()[:4] for line in lines[3:5]] == [["tiny", "fp32", "cpu", "1"], ["plain", "fp32", "cpu", "1"]]


def test_a_provider_that_fails_is_a_row_with_its_reason(invoke: Invoke, tiny_bundle: Path) -> None:
    arguments = ("bench", tiny_bundle, "--steps", "2", "--repeats", "1", "--provider", "migraphx")
    report = read(invoke(*arguments, "--provider", "cpu", "--json"))
    failed, good = report["rows"]
    assert (failed["provider"], failed["rounds"]) == ("migraphx", [])
    assert "migraphx" in failed["reason"]
    assert (good["provider"], good["reason"], len(good["rounds"])) == ("cpu", None, 1)
    outcome = invoke(*arguments)
    assert outcome.code == 2
    assert outcome.out.startswith("tiny, batch 1, ddim-edge on migraphx: provider 'migraphx'")


@pytest.mark.parametrize("done", [0, 3])
def test_an_interrupted_bench_reports_what_it_has(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    turns, take, stopped = itertools.count(), Cell.take, list[Cell]()

    def interrupted(self: Cell, seed: int) -> None:
        if next(turns) == done:
            stopped.append(self)
            raise KeyboardInterrupt
        take(self, seed)

    monkeypatch.setattr(Cell, "take", interrupted)
    outcome = invoke("bench", tiny_bundle, "-p", "cpu", "--batch", "1,2", "-s", "2", "--json")
    assert stopped[0].worker is None
    if not done:
        assert outcome.failed_with("interrupted: nothing was measured", code=130)
        return
    report = read(outcome, code=130)
    assert report["interrupted"] is True
    assert [len(row["rounds"]) for row in report["rows"]] == [2, 1]
    assert "not all rounds were run" in outcome.err


@pytest.mark.parametrize("batch", ["", "0", "two", "1,,2"])
def test_batches_that_are_none(invoke: Invoke, batch: str) -> None:
    assert invoke("bench", "--batch", batch).failed_with("--batch must be numbers of images, for instance 1,4,16")


def test_a_model_that_is_not_there_is_refused_before_anything_starts(invoke: Invoke) -> None:
    assert invoke("bench", "fashoin").failed_with("no model 'fashoin'")


@pytest.mark.parametrize("package", ["torch", "diffusers"])
def test_a_comparison_says_what_it_lacks(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))
    assert invoke("bench", "--compare", "diffusers").failed_with(f"needs {package}", "pip install torch diffusers")


def test_a_source_that_is_none(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("bench", "--compare", "diffusers", "--source", tmp_path)
    assert outcome.failed_with("is not a folder that diffusers saved")


SaveUnet = Callable[[str, int], Path]


@pytest.fixture
def save_unet(tmp_path: Path) -> SaveUnet:
    """A UNet2DModel with weights of a seed, as diffusers saves it."""

    def save(name: str, seed: int) -> Path:
        torch.manual_seed(seed)
        network: Any = diffusers.UNet2DModel
        unet = network(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            layers_per_block=1,
            block_out_channels=(8,),
            down_block_types=("DownBlock2D",),
            up_block_types=("UpBlock2D",),
            norm_num_groups=4,
            attention_head_dim=4,
        )
        unet.save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


@pytest.mark.slow
def test_beside_diffusers(invoke: Invoke, tmp_path: Path, save_unet: SaveUnet, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same weights both sides answer alike; with others the baseline is refused; with none they are random."""
    source = save_unet("source", 0)
    bundle = export_folder(source, tmp_path / "bundle", assume_ddim=True).path
    arguments = ("bench", bundle, "-p", "cpu", "-b", "2", "-s", "3", "--repeats", "2", "--json")
    compared = (*arguments, "--compare", "diffusers", "--compile-mode", "none")
    mine, theirs = read(invoke(*compared, "--source", source))["rows"]
    assert mine.keys() == theirs.keys()
    assert (theirs["side"], theirs["provider"], theirs["precision"]) == ("eager", "cpu", "fp32")
    assert [set(each) for each in theirs["rounds"]] == [ROUND] * 2
    assert len(theirs["rounds"][0]["steps"]) == 3
    assert 0 < theirs["facts"]["difference"] < 1e-5
    assert (theirs["facts"]["weights"], theirs["idle_share"]) == ("the source's", None)

    monkeypatch.setattr("ddim_edge.benchmark.rounds.Worker", HereWorker)
    _, refused = read(invoke(*compared, "--source", save_unet("other", 1)))["rows"]
    assert "it computes something else" in refused["reason"]
    assert refused["rounds"] == []

    _, random = read(invoke(*compared))["rows"]
    assert (random["facts"]["weights"], random["reason"]) == ("random", None)


class HereWorker:
    """A ``Worker`` in this process: one of its own takes seconds to load PyTorch."""

    def __init__(self, module: str, settings: Mapping[str, Any]) -> None:
        opened: tuple[Record, Respond] = {OURS: open_ours, BASELINE: open_baseline}[module](settings)
        self._facts, self._respond = opened

    def ready(self) -> Record:
        return self._facts

    def ask(self, **request: Any) -> Record:
        return self._respond(request)

    def stop(self) -> None: ...


def row(**changes: Any) -> dict[str, Any]:
    times = {"median": 1.2345, "p95": 12.345}
    usual: dict[str, Any] = {
        "bundle": "models/stable-diffusion-v1-5-fp16-for-tensorrt",
        "batch": 16,
        "side": "max-autotune",
        "provider": "cuda",
        "precision": "fp16",
        "reason": None,
        "facts": {"reads_text": True, "decodes": True, "weights": "the source's", "difference": 0.012},
        "rounds": [{}],
        **dict.fromkeys(("step", "image", "prepare", "finish"), times),
        "images_per_second": 0.0123,
        "idle_share": 0.0123,
        "gpu_memory": 70_000 * 2**20,
        "peak_memory": 12_000 * 2**20,
    }
    return usual | changes


def report(*rows: dict[str, Any]) -> dict[str, Any]:
    machine = {"cpu": "Some CPU", "cores": 2, "gpus": ["NVIDIA Something"]}
    circumstances = {"date": "2026-01-02T03:04:05+00:00", "machine": machine, "versions": {"numpy": "2"}}
    return {**circumstances, "settings": {"steps": 20, "repeats": 5}, "rows": list(rows)}


def test_the_widest_table_is_readable_in_100_columns() -> None:
    text = table.text_of(report(row(), row(bundle="other", side="ddim-edge", provider="tensorrt-rtx:0")))
    rows = text.splitlines()[2:5]
    assert max(map(len, rows)) <= table.WIDTH
    assert "…" in rows[1]
    assert "tensorrt-rtx:0" in rows[2]
    assert "predictions for the same input differ by at most 1.2e-02" in text
    assert "Some CPU, 2 cores, NVIDIA Something; 2026-01-02; numpy 2" in text


def test_times_have_about_three_digits() -> None:
    times = {value: {"median": value, "p95": value} for value in (0.000123, 0.00123, 0.0123, 0.123, 12.3)}
    shown = [table._time("step", "median")(row(step=spread)) for spread in times.values()]
    assert shown == ["0.123", "1.23", "12.3", "123", "12300"]
