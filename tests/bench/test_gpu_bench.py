"""What runs on a GPU, as far as it can be tried without one: the plan, its tables, and a rehearsal."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench import results
from bench.on_gpu import command
from bench.on_gpu.models import MODELS, REHEARSAL
from bench.on_gpu.peaks import Peak
from bench.on_gpu.plan import SIDES, groups
from bench.on_gpu.profiling import summary
from bench.tables.gpu import NAMES, machine


def test_the_plan_begins_with_what_tells_most() -> None:
    planned = groups(MODELS, ("fp16", "fp32"), (1, 4, 16), [])
    assert [group.name for group in planned[:5]] == [f"{model.name}-fp16-1" for model in MODELS]
    assert len({group.name for group in planned}) == len(MODELS) * 2 * 3
    assert [group.name for group in groups(MODELS, ("fp16", "fp32"), (1, 4), ["sd*-fp16-4", "unet-64-*-1"])] == [
        "unet-64-fp16-1",
        "unet-64-fp32-1",
        "sd15-fp16-4",
        "sdxl-fp16-4",
    ]
    sdxl = next(group for group in planned if group.name == "sdxl-fp16-4")
    assert sdxl.input_shapes() == {
        "sample": (8, 4, 128, 128),
        "timestep": (8,),
        "encoder_hidden_states": (8, 77, 2048),
        "text_embeds": (8, 1280),
        "time_ids": (8, 6),
    }


def test_a_profile_counts_the_later_half() -> None:
    def node(ts: int, name: str, duration: int) -> dict[str, Any]:
        arguments = {"op_name": name, "provider": "CUDAExecutionProvider"}
        return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": duration, "args": arguments}

    runs = [{"cat": "Session", "name": "model_run", "ts": 10 * run, "dur": 2_000_000} for run in range(10)]
    found = summary([*runs, node(0, "Conv", 1000), node(51, "Conv", 30), node(61, "MatMul", 10)])
    assert found == {"call_seconds": 2.0, "nodes": {"Conv on CUDA": 0.75, "MatMul on CUDA": 0.25}, "kernels": {}}


def row(side: str, seconds: float, **changes: Any) -> dict[str, Any]:
    usual = {
        "side": side,
        "reason": None,
        "facts": {},
        "image_seconds": [1.0],
        "step": {"median": seconds, "p95": 2 * seconds},
        "idle_share": None,
        "gpu_memory": None,
    }
    return usual | changes


def test_a_machines_table() -> None:
    rows = [
        row("graph", 0.004, idle_share=0.0123, gpu_memory=3 * 2**20),
        row("eager", 0.01),
        row("fused", 0.0, image_seconds=[], reason="no room"),
    ]
    floor = {"call_seconds": 0.001, "roofline_seconds": 0.002, "weights": 2**20, "activations": 2**20}
    group = {"model": "sd15", "precision": "fp16", "batch": 1, "rows": rows, "floor": floor}
    soak = {"generations": 1000, "reason": None, "resident_growth": 0.001, "gpu_growth": None}
    text = machine({"gpu": "NVIDIA Something", "groups": {"x": group}, "soak": soak})
    assert "| sd15, fp16 | 1 | bound, CUDA graph | 4 | 8 | 2.50× | 1.2% | 3 | 1.50 |" in text
    assert "| sd15, fp16 | 1 | diffusers, eager | 10 | 20 | 1.00× |  |  |  |" in text
    assert "| sd15, fp16 | 1 | the GPU's floor (2 node by node) | 1 |  | 10.00× |  |  |  |" in text
    assert "- sd15 in fp16, batch 1, fused step, CUDA graph: no room" in text
    assert "1000 generations in a row: the process's memory +0.10%, the GPU's not told" in text


@pytest.fixture
def own_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Results and networks go to a folder of the test's."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(results, "CACHE", tmp_path / "cache")
    return tmp_path


def run_of(generations: int, **changes: Any) -> command.Run:
    usual: dict[str, Any] = {"provider": "cpu", "sides": "plain", "repeats": 1, "minutes": 9.0, "opset": 23}
    return command.Run("gpu-x", "X", **usual, generations=generations, keep=False, **changes)


def test_a_run_goes_on_where_it_was_cut_short(own_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned, made = groups(REHEARSAL, ("fp32",), (1,), []), list[str]()

    def measure(group: Any, *_: Any) -> dict[str, Any]:
        if len(made) == 1:
            made.append("interrupted")
            raise KeyboardInterrupt
        made.append(group.name)
        return {"rows": [{"side": "plain", "reason": None}]}

    monkeypatch.setattr(command, "measure_group", measure)
    for name in ("floor_of", "measure_profile"):
        monkeypatch.setattr(command, name, lambda *_: {})
    monkeypatch.setattr(command, "build", lambda *_, **__: (own_results / "a", own_results / "b"))
    peak = Peak(1, 1, 1, "")
    with pytest.raises(KeyboardInterrupt):
        run_of(0).all(planned, peak)
    assert list(results.read("gpu-x")["groups"]) == ["tiny-fp32-1"]
    run_of(0).all(planned, peak)
    assert made == ["tiny-fp32-1", "interrupted", "tiny-text-fp32-1"]
    assert list(results.read("gpu-x")["groups"]) == ["tiny-fp32-1", "tiny-text-fp32-1"]
    more = run_of(0)
    more._sides = ("plain", "bound")
    made.clear()
    more.all(planned[:1], peak)
    assert made == ["tiny-fp32-1"]  # again, for it lacks a side
    late = run_of(0)
    late._end = 0.0
    late.record["groups"].clear()
    late.all(planned, peak)
    assert late.record["groups"] == {}


@pytest.mark.bench
def test_the_rehearsal_runs_all_of_it(own_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, one tiny network with guidance and all that SDXL is told, every side that needs no compiler."""
    shown = list[dict[str, Any]]()

    def show(record: dict[str, Any]) -> str:
        shown.append(record)
        return machine(record)

    monkeypatch.setattr(command, "machine", show)
    options = ["--rehearse", "--only", "tiny-text-fp32-1", "--repeats", "1", "--generations", "20"]
    done = CliRunner().invoke(command.main, options, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = {row["side"]: row for row in shown[0]["groups"]["tiny-text-fp32-1"]["rows"]}
    assert {side: row["reason"] for side, row in rows.items()} == dict.fromkeys(SIDES[:5])
    assert rows["bound"]["facts"]["from_first_kind"] == 0
    assert rows["fused"]["facts"]["from_first_kind"] < 1e-4
    assert 0 < rows["eager"]["facts"]["difference"] < 1e-4
    assert 0 < rows["plain"]["idle_share"] < 1
    for side in SIDES[:5]:
        assert f"| tiny-text, fp32 | 1 | {NAMES[side]} |" in done.output
    assert "the GPU's floor" in done.output
    assert "20 generations in a row: the process's memory" in done.output
    assert "by kind of node: " in done.output
    assert not (own_results / "results").exists()
    assert not list((own_results / "cache" / "gpu").iterdir())


def test_what_is_missing_is_said_before_it_is_imported(tmp_path: Path) -> None:
    """A Python without any package, in another folder: one line, with what to install."""
    script = Path(results.__file__).parent / "gpu.py"
    bare = [sys.executable, "-I", "-S", str(script)]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("missing here. Install: pip install numpy pillow click")
    assert done.stderr.count("\n") == 1


def test_a_provider_that_is_not_there_is_said_at_the_start() -> None:
    done = CliRunner().invoke(command.main, ["--provider", "coreml"])
    assert done.exit_code == 1
    assert "provider 'coreml' is not in the installed" in done.output


def test_every_side_has_a_name() -> None:
    assert set(NAMES) == set(SIDES)
