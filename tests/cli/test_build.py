"""``ddim-edge build``: what it says, what it refuses, and how it goes on."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddim_edge.build import plan as build_plan
from ddim_edge.build import run as building
from ddim_edge.cli.build_report import duration
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.places import cached_folders, user_cache
from tests.helpers.command_line import Invoke
from tests.helpers.hashing import sha256_of
from tests.helpers.tiny_bundles import write_json

GPU = Machine("NVIDIA RTX A2000 8.6", "570.86.10", "1.32.0", "TensorRT 10.9.0")
WORKER = """
import json, pathlib, sys
job = json.load(sys.stdin)
(pathlib.Path(job["folder"]) / "an.engine").write_text("engine")
print(json.dumps({"remark": "unet: tensorrt left 1 Resize of 90 working nodes to the CPU"}))
"""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with TensorRT, whose compiler is a few lines."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    monkeypatch.setattr(building, "WORKER", (sys.executable, str(script)))
    monkeypatch.setattr(build_plan, "_check_loads", lambda _device: None)
    monkeypatch.setattr(Machine, "of", lambda _provider, _which=None: GPU)
    monkeypatch.setattr(Machine, "all_of", lambda _provider: [GPU])


def test_it_builds_for_the_cpu_and_a_run_takes_it(invoke: Invoke, tiny_bundle: Path) -> None:
    plain = invoke("run", tiny_bundle, "-n", 2, "-o", "plain.npy", "-p", "cpu")
    outcome = invoke("build", tiny_bundle, "--provider", "cpu")
    assert (outcome.code, outcome.out) == (0, f"{user_cache()}: 1 built, {_size()}\n")
    lines = outcome.err.splitlines()
    assert lines[0] == "1 of 1, unet: building; time left not known yet"
    assert lines[1].startswith("1 of 1, unet: built in ")
    assert len(lines) == 2
    assert invoke("run", tiny_bundle, "-n", 2, "-o", "built.npy", "-p", "cpu").code == plain.code == 0
    assert Path("built.npy").read_bytes() == Path("plain.npy").read_bytes()


def test_a_damaged_file_is_told_and_not_used(invoke: Invoke, new_bundle: Callable[..., Path]) -> None:
    bundle = new_bundle()
    recorded = {"unet/model.onnx": {"sha256": sha256_of(bundle / "unet" / "model.onnx")}}
    write_json(bundle / "export.json", {"files": recorded})
    build, options = ("build", bundle, "--provider", "cpu", "--beside"), ("-n", 1, "--steps", 2, "-p", "cpu", "-o")
    assert invoke(*build).code == 0
    assert invoke("run", bundle, *options, "whole.npy").code == 0
    assert "\nall 1 files in compiled/ are as they were built\n" in invoke("inspect", bundle, "--verify").out
    (graph,) = bundle.glob("compiled/*/model.onnx")
    gain, other = (np.float32(value).tobytes() for value in (0.5, 0.75))
    assert graph.read_bytes().count(gain) == 1
    graph.write_bytes(graph.read_bytes().replace(gain, other))
    outcome = invoke("run", bundle, *options, "damaged.npy")
    assert outcome.code == 0
    assert "is damaged: model.onnx is not the file that was built. It is not used" in outcome.err
    assert Path("damaged.npy").read_bytes() == Path("whole.npy").read_bytes()
    assert invoke("inspect", bundle, "--verify").code == 2
    assert ": 1 built" in invoke(*build).out
    assert invoke("inspect", bundle, "--verify").code == 0


def _size() -> str:
    (folder,) = cached_folders(user_cache())
    return f"{json.loads((folder / 'built.json').read_text())['bytes'] / 1e6:.1f} MB"


@pytest.mark.usefixtures("gpu")
def test_what_is_built_already_is_said_and_skipped(invoke: Invoke, tiny_bundle: Path) -> None:
    arguments = ("build", tiny_bundle, "--provider", "tensorrt")
    invoke(*arguments, "--batch", 1)
    outcome = invoke(*arguments, "--batch", "1,2")
    assert outcome.err.splitlines()[:2] == [
        "1 of 3, unet in fp32 for sample 1x1x8x8: built already",
        "2 of 3, unet in fp32 for sample 2x1x8x8: built already",
    ]
    assert outcome.err.count("tensorrt left 1 Resize of 90 working nodes to the CPU") == 1
    assert outcome.out == f"{user_cache()}: 1 built, 0.0 MB; 2 were built already\n"
    assert invoke(*arguments, "--batch", "1,2", "--quiet").err == ""


@pytest.mark.usefixtures("gpu")
def test_as_json(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke(
        "build", tiny_bundle, "-p", "tensorrt:1", "--batch", 4, "--no-guidance", "--precision", "fp16",
        "--workspace", 512, "--provider-option", "trt_builder_optimization_level=5", "--json", "--quiet",
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (0, "")
    outcome = invoke(
        "build", tiny_bundle, "-p", "tensorrt:1", "--batch", 4, "--no-guidance", "--precision", "fp16",
        "--workspace", 512, "--provider-option", "trt_builder_optimization_level=5", "--json",
    )  # fmt: skip
    (part,) = json.loads(outcome.out)["parts"]
    assert part["shapes"] == {"sample": [4, 1, 8, 8], "timestep": [4], "class_labels": [4]}
    assert (part["precision"], part["workspace"], part["skipped"]) == ("fp16", 512 * 2**20, True)
    assert part["options"] == {"trt_builder_optimization_level": "5"}
    assert part["machine"] == GPU.to_json()


@pytest.mark.usefixtures("gpu")
def test_beside_the_bundle(invoke: Invoke, new_bundle: Callable[..., Path]) -> None:
    bundle = new_bundle()
    assert invoke("build", bundle, "--provider", "tensorrt", "--beside").code == 0
    assert cached_folders(user_cache()) == []
    assert len(cached_folders(bundle / "compiled")) == 2
    assert len(json.loads(invoke("build", bundle, "--list", "--json").out)["entries"]) == 2
    assert invoke("build", "--list").out == f"nothing is built in {user_cache()}\n"


@pytest.mark.usefixtures("gpu")
def test_after_an_interruption_the_same_command_goes_on(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = building._while_running, list[int]()

    def interrupted(worker: Any) -> Iterator[None]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(worker)

    arguments = ("build", tiny_bundle, "--provider", "tensorrt", "--batch", "1,2")
    monkeypatch.setattr(building, "_while_running", interrupted)
    outcome = invoke(*arguments)
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1] == (
        "ddim-edge: interrupted with 1 of 3 parts built: run the same command to go on"
    )
    assert "1 of 3, unet in fp32 for sample 1x1x8x8: built already" in invoke(*arguments).err


@pytest.mark.usefixtures("gpu")
def test_list_and_prune(invoke: Invoke, new_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = new_bundle()
    invoke("build", bundle, "--provider", "tensorrt", "--no-guidance")
    (folder,) = cached_folders(user_cache())
    (user_cache() / "cpu-unet-0123456789abcdef").mkdir()
    text = invoke("build", "--list").out
    assert f"{folder}  0.0 MB\n  unet in fp32 for sample 1x1x8x8, for {GPU.device}\n  built " in text
    assert "cpu-unet-0123456789abcdef  0.0 MB\n  of no use: unfinished" in text
    newer = Machine(GPU.device, GPU.driver, GPU.onnxruntime, "TensorRT 10.11.0")
    monkeypatch.setattr(Machine, "all_of", lambda _provider: [newer])
    assert "of no use: built with TensorRT 10.9.0, this is 10.11.0" in invoke("build", "--list").out
    facts = json.loads(invoke("build", "--prune", "--json").out)
    assert [entry["fault"] for entry in facts["removed"]] == [
        "unfinished",
        "built with TensorRT 10.9.0, this is 10.11.0",
    ]
    assert cached_folders(user_cache()) == []
    assert invoke("build", "--prune").out == "0 removed, 0.0 MB\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((), ("name a model and a provider: ddim-edge build MODEL --provider",)),
        (("fashion-mnist",), ("name a model and a provider: ddim-edge build fashion-mnist --provider",)),
        (("nowhere", "--provider", "cpu"), ("no model 'nowhere'",)),
        (("fashion-mnist", "--provider", "cdua"), ("provider 'cdua' is unknown. Did you mean 'cuda'?",)),
        (("fashion-mnist", "--provider", "cuda"), ("nothing is built for cuda, which runs without",)),
        (("fashion-mnist", "--provider", "tensorrt"), ("provider 'tensorrt' is not in the installed", "Remedy:")),
        (("fashion-mnist", "--provider", "cpu", "--batch", "2"), ("--batch does not apply to cpu",)),
        (("fashion-mnist", "--provider", "tensorrt", "--batch", "two"), ("for instance 1,2,4, not 'two'",)),
        (("--list", "--prune"), ("--list and --prune take no other option",)),
        (("--list", "--provider", "cpu"), ("--list and --prune take no other option",)),
    ],
)
def test_bad_input_is_one_line(invoke: Invoke, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    assert invoke("build", *arguments).failed_with(*parts)


@pytest.mark.usefixtures("gpu")
def test_options_that_build_sets_itself_are_refused(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("build", tiny_bundle, "-p", "tensorrt", "--provider-option", "trt_fp16_enable=True")
    assert outcome.failed_with("--provider-option trt_fp16_enable is set by `ddim-edge build` itself")


@pytest.mark.usefixtures("gpu")
def test_a_failing_compiler_is_one_line(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("import os\nos.abort()")
    outcome = invoke("build", tiny_bundle, "-p", "tensorrt", "--quiet")
    assert outcome.failed_with("the compiler of unet for tensorrt was killed by SIGABRT", code=1)


def test_durations() -> None:
    assert [duration(seconds) for seconds in (4.23, 200, 3905)] == ["4.2 s", "3 min 20 s", "1 h 5 min"]
