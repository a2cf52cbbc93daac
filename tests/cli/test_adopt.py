"""``ddim-edge adopt``: what it says and refuses. tests/export/test_adopt.py has what it does to the graph."""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import ddim_edge
from ddim_edge.diffusion.samplers import schedule_of
from tests.helpers.command_line import Invoke
from tests.helpers.foreign_graph import foreign_graph
from tests.helpers.tiny_bundles import write_json

OPTIONS = ("--map", "sample=x", "--map", "timestep=s", "--output", "mean")
FLOW = ("--timestep", "fraction")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The current folder, with a graph and the scheduler files of DDIM and of flow matching."""
    onnx.save_model(foreign_graph(), tmp_path / "g.onnx")
    write_json(tmp_path / "ddim.json", {"_class_name": "DDIMScheduler", "num_inference_steps": 3})
    write_json(tmp_path / "flow.json", {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_inference_steps": 4})
    return tmp_path


def test_it_says_what_it_made(invoke: Invoke, files: Path) -> None:
    outcome = invoke("adopt", "g.onnx", "out", "--scheduler", "ddim.json", *OPTIONS)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "out: 0.0 MB, samples of 2x4, ddim; conditioning: goal [n,3]\n"
    assert invoke("adopt", "g.onnx", "two", "--scheduler", "ddim.json", *OPTIONS, "--quiet").out == ""
    facts = json.loads(invoke("adopt", "g.onnx", "three", "--scheduler", "ddim.json", *OPTIONS, "--json").out)
    assert facts == {
        "bundle": "three",
        "bytes": sum(path.stat().st_size for path in (files / "three").rglob("*") if path.is_file()),
        "sample_shape": [2, 4],
        "conditioning": {"goal": "[n,3]"},
        "sampler": "ddim",
    }


def test_the_bundle_runs_and_is_inspected(invoke: Invoke, files: Path) -> None:
    assert invoke("adopt", "g.onnx", "out", "--scheduler", "flow.json", *OPTIONS, *FLOW).code == 0
    np.savez(files / "goal.npz", goal=np.array([[1, 2, 3]], np.float32))
    outcome = invoke("run", "out", "--num-images", 2, "--conditioning", "goal.npz", "--output", "made.npy")
    assert outcome.code == 0, outcome.err
    made = np.load(files / "made.npy")
    assert (made.dtype, made.shape) == (np.float32, (2, 2, 4))
    inspected = invoke("inspect", "out", "--verify")
    assert inspected.code == 0, inspected.err
    assert "goal" in inspected.out
    assert "all 3 files are as they were exported" in inspected.out


def test_flow_matching_with_a_fraction_of_its_timesteps(invoke: Invoke, files: Path) -> None:
    """The graph returns (x + 20)/(1 + t): Euler's steps by hand, at t = 1, 3/4, 1/2 and 1/4."""
    assert invoke("adopt", "g.onnx", "out", "--scheduler", "flow.json", *OPTIONS, *FLOW).code == 0
    random = np.random.default_rng(0)
    sample = random.standard_normal((1, 2, 4), np.float32)
    origin = ddim_edge.Origin(latents=sample)
    made = ddim_edge.load("out", "cpu").generate(origin=origin, conditioning={"goal": np.array([1, 2, 3], np.float32)})
    config = ddim_edge.sampler_config(files / "flow.json")
    times = np.append(schedule_of(config, 4).timesteps / 1000, 0.0)
    for time, following in itertools.pairwise(times):
        sample = sample + np.float32(following - time) * (sample + 20) / np.float32(1 + time)
    np.testing.assert_allclose(made.samples, sample, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "sample"], "--map must be OURS=THEIRS, for instance sample=x, not 'sample'"),
        (["--map", "sample=x", "--map", "sample=s"], "--map names sample twice"),
        (["--map", "sample=x", "--map", "timestep=x"], "--map names x twice"),
        ([], "which input is the sample? Give --map sample=NAME: the graph takes x [n,2,4], s [n], goal [n,3]"),
        ([*OPTIONS, "--sample-shape", "2,4"], "--sample-shape '2,4' is not whole numbers with x between them"),
        ([*OPTIONS[:4], "--output", "depth"], "--output: output 'depth' is unknown. Valid: mean, spread."),
        ([*OPTIONS, "--output-config", "ddim.json"], "kind"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, invoke: Invoke, files: Path) -> None:
    write_json(files / "ddim.json", {"_class_name": "DDIMScheduler", "kind": "picture"})
    assert invoke("adopt", "g.onnx", "out", "--scheduler", "ddim.json", *arguments).failed_with(message)
    assert not (files / "out").exists()


def test_files_that_are_not_there_or_in_the_way(invoke: Invoke, files: Path) -> None:
    assert invoke("adopt", "none.onnx", "out", "--scheduler", "ddim.json", *OPTIONS).failed_with(
        "none.onnx is not there"
    )
    assert invoke("adopt", "g.onnx", "out", "--scheduler", "none.json", *OPTIONS).failed_with("none.json")
    assert invoke("adopt", "g.onnx", "out", *OPTIONS).failed_with("--scheduler")
    (files / "out").mkdir()
    (files / "out/file").touch()
    outcome = invoke("adopt", "g.onnx", "out", "--scheduler", "ddim.json", *OPTIONS)
    assert outcome.failed_with("is there already and is not empty")


def test_a_missing_package_is_one_line(invoke: Invoke, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.delitem(sys.modules, "ddim_edge_export.adopt", raising=False)
    outcome = invoke("adopt", "g.onnx", "out", "--scheduler", "ddim.json", *OPTIONS)
    assert outcome.failed_with("adopt needs onnxscript, of the extra export, which is not installed: pip install")
    assert not (files / "out").exists()
