"""``ddim-edge doctor``: the same facts as text and as JSON, and the commands that mend what is wrong."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ddim_edge.doctor import facts, software
from ddim_edge.doctor.libraries import CUDA, TENSORRT, Library
from ddim_edge.runtime.hardware import nvidia
from ddim_edge.runtime.providers import onnxruntime_module as runtime
from ddim_edge.runtime.providers import table as providers
from tests.helpers.command_line import Invoke

GIB = 1 << 30
PIP = f"{sys.executable} -m pip"
ADA: dict[str, Any] = {
    "index": 0,
    "name": "NVIDIA GeForce RTX 4090",
    "uuid": "GPU-0f3c",
    "compute_capability": "8.9",
    "total_memory": 24 * GIB,
    "free_memory": 20 * GIB,
}
TRIAL = {
    "reason": None,
    "convolution": {"milliseconds": 0.05, "error": 1e-6, "remark": None},
    "attention": {"milliseconds": 0.125, "error": 2e-7, "remark": "attention: cuda left 1 Softmax of 5 to the CPU"},
}


@dataclass
class Machine:
    """A machine that is not this one; the CPU's trials are real."""

    packages: dict[str, str] = field(default_factory=lambda: {"onnxruntime": "1.32.0"})
    cuda_build: str | None = None
    driver: dict[str, Any] = field(default_factory=dict)
    trials: dict[str, dict[str, Any]] = field(default_factory=dict)
    libraries: dict[str, Library] = field(default_factory=dict)
    board: tuple[str | None, int | None, int] = (None, None, 0)
    asked: list[tuple[str, float]] = field(default_factory=list)

    def run_isolated(self, task: str, *arguments: str, seconds: float) -> dict[str, Any]:
        self.asked.append((" ".join((task, *arguments)), seconds))
        return self.driver if task == "driver" else self.trials[arguments[0]]

    def find_libraries(self, cuda_build: str | None) -> dict[str, Library]:
        assert cuda_build == self.cuda_build
        return {stem: self.libraries.get(stem, Library(f"lib{stem}.so")) for stem in (*CUDA, *TENSORRT)}

    def not_available(self) -> dict[str, str | None]:
        held = {*self.trials, "cpu"}
        return {row.name: None if row.name in held else "not there" for row in providers.PROVIDERS}


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    """Make this process believe that it is on another machine; the arguments are those of ``Machine``."""

    def move(**what: Any) -> Machine:
        machine = Machine(**what)
        jetson, jetpack, pci_gpus = machine.board
        monkeypatch.setattr(software, "installed_packages", lambda: machine.packages)
        monkeypatch.setattr(facts, "module_facts", lambda: (None, machine.cuda_build))
        for name in ("run_isolated", "find_libraries", "not_available"):
            monkeypatch.setattr(facts, name, getattr(machine, name))
        monkeypatch.setattr(nvidia, "jetson", lambda: jetson)
        monkeypatch.setattr(nvidia, "jetpack", lambda: jetpack)
        monkeypatch.setattr(nvidia, "pci_gpus", lambda: pci_gpus)
        return machine

    return move


GPU_MACHINE: dict[str, Any] = {
    "packages": {"onnxruntime-gpu": "1.31.1"},
    "cuda_build": "13.0",
    "driver": {"driver": "580.95.05", "cuda": "13.0", "gpus": [ADA]},
    "trials": {"cuda": TRIAL, "tensorrt": {"reason": "libnvinfer.so.10 is not there"}},
    "libraries": {"cudnn": Library("libcudnn.so.9", "/lib/libcudnn.so.9.1", "9.1", "the system")},
}


def test_this_machine_as_json(invoke: Invoke) -> None:
    outcome = invoke("doctor", "--json")
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    found = json.loads(outcome.out)
    assert set(found["providers"]) == {row.name for row in providers.PROVIDERS}
    assert found["providers"]["cpu"] is None
    assert "cpu" in found["available"]
    for probe in ("convolution", "attention"):
        assert found["trials"]["cpu"][probe]["milliseconds"] > 0
        assert found["trials"]["cpu"][probe]["error"] is None
    assert found["onnxruntime"] == runtime.installed_packages()
    assert set(found["libraries"]) == {*CUDA, *TENSORRT}
    assert set(found["libraries"]["cudnn"]) == {"name", "file", "version", "source", "instead"}
    assert {"driver", "cuda", "gpus", "reason", "jetson", "jetpack", "pci_gpus"} <= set(found["nvidia"])
    assert "fashion-mnist" in found["models"]
    assert "numpy" in found["packages"]
    if found["providers"]["openvino"] is not None:
        assert "Remedy: pip install openvino" in found["providers"]["openvino"]


def test_this_machine_as_text(invoke: Invoke) -> None:
    outcome = invoke("doctor")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"Python {sys.version.split()[0]}" in outcome.out
    assert re.search(r"\n  cpu          runs: convolution \d", outcome.out)


def test_a_gpu_machine_as_text(invoke: Invoke, on: Callable[..., Machine]) -> None:
    on(**GPU_MACHINE)
    text = invoke("doctor").out
    for line in (
        "onnxruntime: onnxruntime-gpu 1.31.1, built for CUDA 13.0",
        "  driver 580.95.05, runs CUDA up to 13.0",
        "  GPU 0: NVIDIA GeForce RTX 4090, compute capability 8.9, 20.0 of 24.0 GiB free, GPU-0f3c",
        "  libcudnn.so.9          9.1, /lib/libcudnn.so.9.1 (the system)",
        "  libcublas.so           not found",
        "  cuda         runs: convolution 0.05 ms (error 1.0e-06), attention 0.12 ms (error 2.0e-07)",
        f"  {'':12} attention: cuda left 1 Softmax of 5 to the CPU",
        "  tensorrt     does not run: libnvinfer.so.10 is not there",
        "  openvino     pip install openvino",
    ):
        assert f"{line}\n" in text
    assert "problem" not in text  # TensorRT is a choice


def test_a_gpu_machine_as_json(invoke: Invoke, on: Callable[..., Machine]) -> None:
    on(**GPU_MACHINE)
    found = json.loads(invoke("doctor", "--json").out)
    assert found["nvidia"]["gpus"] == [ADA]
    assert found["trials"]["cuda"] == {probe: TRIAL[probe] for probe in ("convolution", "attention")}
    assert "tensorrt" not in found["trials"]
    assert (found["problem"], found["problems"], found["cuda_build"]) == (None, [], "13.0")


def test_each_provider_but_the_cpu_is_tried_in_a_process_of_its_own(invoke: Invoke, on: Callable[..., Machine]) -> None:
    machine = on(**GPU_MACHINE)
    invoke("doctor", "--json")
    assert [task for task, _ in machine.asked] == ["driver", "trial tensorrt", "trial cuda"]


def test_a_driver_that_hangs_is_not_waited_for_again_and_again(invoke: Invoke, on: Callable[..., Machine]) -> None:
    machine = on(**GPU_MACHINE | {"driver": {"reason": "no answer within 20 s, as where a driver hangs"}})
    text = invoke("doctor").out
    assert "  no driver that answers: no answer within 20 s" in text
    assert "problem: the NVIDIA driver does not answer: no answer within 20 s" in text
    assert {seconds for _, seconds in machine.asked} == {facts._DRIVER_SECONDS}


def test_a_jetson_is_told_where_its_wheels_come_from(invoke: Invoke, on: Callable[..., Machine]) -> None:
    board = ("NVIDIA Jetson Orin Nano Developer Kit, R36.4.3", 6, 0)
    unknown = ADA | {"name": "Orin (nvgpu)", "uuid": None, "total_memory": None, "free_memory": None}
    on(board=board, driver={"driver": "540.4.0", "cuda": "12.6", "gpus": [unknown]})
    text = invoke("doctor").out
    assert "  this is a Jetson: NVIDIA Jetson Orin Nano Developer Kit, R36.4.3 (JetPack 6)\n" in text
    assert "NVIDIA's Jetson AI Lab, not PyPI, has onnxruntime-gpu for it: https://pypi.jetson-ai-lab.io/jp6/" in text
    assert "  GPU 0: Orin (nvgpu), compute capability 8.9\n" in text


def test_two_packages_are_a_problem(invoke: Invoke, on: Callable[..., Machine]) -> None:
    on(packages={"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"})
    outcome = invoke("doctor")
    assert outcome.code == 0
    assert "problem: onnxruntime and onnxruntime-gpu are both installed and overwrite each other" in outcome.out
    assert f"\n  {PIP} uninstall --yes onnxruntime onnxruntime-gpu\n  {PIP} install onnxruntime\n" in outcome.out


def test_fix_prints_commands_and_nothing_else(invoke: Invoke, on: Callable[..., Machine]) -> None:
    on(driver={"driver": "580.95.05", "cuda": "13.0", "gpus": [ADA]})
    outcome = invoke("doctor", "--fix")
    commands = [f"{PIP} uninstall --yes onnxruntime", f"{PIP} install 'onnxruntime-gpu[cuda,cudnn]'"]
    assert (outcome.code, outcome.out.splitlines()) == (0, commands)
    assert outcome.err == "onnxruntime has no provider for the NVIDIA GPU of this machine\n"


def test_fix_with_nothing_to_mend(invoke: Invoke, on: Callable[..., Machine]) -> None:
    on()
    outcome = invoke("doctor", "--fix")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "nothing to fix\n")


def test_fix_of_what_pip_cannot_mend(invoke: Invoke, on: Callable[..., Machine]) -> None:
    on(**GPU_MACHINE | {"driver": {}, "board": (None, None, 1)})
    outcome = invoke("doctor", "--fix")
    assert (outcome.code, outcome.out) == (0, "")
    assert "no driver is found: install NVIDIA's driver" in outcome.err


def test_fix_and_json_exclude_each_other(invoke: Invoke) -> None:
    assert invoke("doctor", "--fix", "--json").failed_with("choose one")
