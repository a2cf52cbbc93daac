"""For every state of an installation: what ``ddim-edge doctor`` says is wrong, and the commands that mend it."""

import sys
from typing import Any

import pytest

from ddim_edge.doctor.installation import State
from ddim_edge.doctor.remedies import find_problems

PIP = f"{sys.executable} -m pip"
CPU, GPU = {"onnxruntime": "1.32.0"}, {"onnxruntime-gpu": "1.31.1"}
CUDA_13: dict[str, Any] = {"cuda_build": "13.0", "provides": frozenset({"cpu", "cuda", "tensorrt"})}
NVIDIA: dict[str, Any] = {"has_gpu": True, "driver_cuda": "13.0"}
OLD_DRIVER = NVIDIA | {"driver_cuda": "12.8"}
ORIN: dict[str, Any] = {"has_gpu": True, "is_jetson": True, "jetpack": 6, "driver_cuda": "12.6"}
THOR = ORIN | {"jetpack": 7, "driver_cuda": "13.0"}
NOT_LOADED = {"cuda": "libcublasLt.so.13: cannot open shared object file"}
MISSING = ("libcublasLt.so.13", "libcudnn.so.9")
INSTALL_CUDA = f"{PIP} install 'onnxruntime-gpu[cuda,cudnn]'"
INSTALL_CUDA_12 = f"{PIP} install 'onnxruntime-gpu[cuda,cudnn]<1.27'"
JETPACK_6 = f"{PIP} install --index-url https://pypi.jetson-ai-lab.io/jp6/cu129 onnxruntime-gpu"
JETPACK_7 = f"{PIP} install --index-url https://pypi.jetson-ai-lab.io/sbsa/cu130 onnxruntime-gpu"
BROKEN = "ONNX Runtime is broken"

WITH_COMMANDS = {
    "nothing installed": (State({}, "not there"), "not installed", [f"{PIP} install onnxruntime"]),
    "nothing, beside a GPU": (State({}, "not there", **NVIDIA), "not installed", [INSTALL_CUDA]),
    "nothing, beside an old driver": (State({}, "not there", **OLD_DRIVER), "not installed", [INSTALL_CUDA_12]),
    "nothing, on an Orin": (State({}, "not there", **ORIN), "not installed", [JETPACK_6]),
    "nothing, on a Thor": (State({}, "not there", **THOR), "not installed", [JETPACK_7]),
    "nothing, on a Jetson too old for wheels": (
        State({}, "not there", **ORIN | {"jetpack": 5}),
        "not installed",
        [f"{PIP} install onnxruntime"],
    ),
    "nothing, on a Jetson of unknown age": (
        State({}, "not there", **ORIN | {"jetpack": None}),
        "not installed",
        [JETPACK_7],
    ),
    "two": (
        State(CPU | GPU),
        "onnxruntime and onnxruntime-gpu are both installed and overwrite each other",
        [f"{PIP} uninstall --yes onnxruntime onnxruntime-gpu", f"{PIP} install onnxruntime"],
    ),
    "two, beside a GPU": (
        State(CPU | GPU, **NVIDIA, **CUDA_13, reasons=NOT_LOADED, missing=MISSING),
        "overwrite each other",
        [f"{PIP} uninstall --yes onnxruntime onnxruntime-gpu", INSTALL_CUDA],
    ),
    "two, one of them for another maker's device": (
        State(CPU | {"onnxruntime-directml": "1.24.4"}),
        "onnxruntime and onnxruntime-directml are both",
        [f"{PIP} uninstall --yes onnxruntime onnxruntime-directml", f"{PIP} install onnxruntime-directml"],
    ),
    "two, and what is left of them is broken": (
        State(CPU | GPU, BROKEN),
        "overwrite each other",
        [f"{PIP} uninstall --yes onnxruntime onnxruntime-gpu", f"{PIP} install onnxruntime"],
    ),
    "broken": (
        State(CPU, BROKEN),
        BROKEN,
        [f"{PIP} install --force-reinstall --no-deps onnxruntime==1.32.0", f"{PIP} install onnxruntime"],
    ),
    "the CPU's beside a GPU": (
        State(CPU, **NVIDIA),
        "onnxruntime has no provider for the NVIDIA GPU",
        [f"{PIP} uninstall --yes onnxruntime", INSTALL_CUDA],
    ),
    "the CPU's on an Orin": (
        State(CPU, **ORIN),
        "onnxruntime has no provider for the NVIDIA GPU",
        [f"{PIP} uninstall --yes onnxruntime", JETPACK_6],
    ),
    "no CUDA libraries": (
        State(GPU, **NVIDIA, **CUDA_13, reasons=NOT_LOADED, missing=MISSING),
        "built for CUDA 13.0, and does not find libcublasLt.so.13, libcudnn.so.9",
        [INSTALL_CUDA],
    ),
    "no CUDA libraries and no GPU": (
        State(GPU, **CUDA_13, reasons=NOT_LOADED, missing=MISSING),
        "No NVIDIA GPU is seen here",
        [INSTALL_CUDA],
    ),
    "a driver too old for the package": (
        State(GPU, **OLD_DRIVER, **CUDA_13, reasons=NOT_LOADED, missing=MISSING),
        "the NVIDIA driver runs no newer one than 12.8",
        [INSTALL_CUDA_12],
    ),
    "PyPI's package on an Orin": (
        State(GPU, **ORIN, **CUDA_13, reasons=NOT_LOADED, missing=MISSING),
        "built for CUDA 13.0, and JetPack 6 has CUDA 12",
        [f"{PIP} uninstall --yes onnxruntime-gpu", JETPACK_6],
    ),
}

BEYOND_PIP = {
    "a driver that hangs": (State(CPU, driver_fault="no answer within 20 s"), "does not answer: no answer within 20 s"),
    "a GPU without a driver": (State(GPU, has_gpu=True, **CUDA_13), "there is an NVIDIA GPU, and no driver is found"),
    "a driver too old for any package": (
        State(GPU, has_gpu=True, driver_cuda="11.8", **CUDA_13, reasons=NOT_LOADED, missing=MISSING),
        "runs no newer one than 11.8: install a newer driver",
    ),
    "CUDA, and a container without the driver": (
        State(GPU, **CUDA_13, reasons={"cuda": "libcuda.so.1: cannot open shared object file"}),
        "libcuda.so.1, which the driver brings, is not found",
    ),
    "a Jetson without its CUDA": (
        State(GPU, **THOR, **CUDA_13, reasons=NOT_LOADED, missing=MISSING),
        "they come with JetPack (sudo apt install nvidia-jetpack)",
    ),
}

IN_ORDER = {
    "the CPU's": State(CPU, reasons={"cuda": "not in the package", "cpu": None}),
    "CUDA runs": State(GPU, **NVIDIA, **CUDA_13, reasons={"cuda": None}, missing=("libcufft.so.12",)),
    "another reason than the libraries": State(GPU, **NVIDIA, **CUDA_13, reasons={"cuda": "crashed (SIGSEGV)"}),
    "a plugin for the GPU": State(CPU, provides=frozenset({"cpu", "tensorrt-rtx"}), **NVIDIA),
    "a Jetson that runs": State(GPU, cuda_build="12.9", **ORIN, reasons={"cuda": None}),
    "a Jetson too old for wheels": State(CPU, **ORIN | {"jetpack": 5}),
    "built from source, unknown to pip": State({}, provides=frozenset({"cpu", "cuda"}), **NVIDIA),
    "on Windows": State({"onnxruntime-directml": "1.24.4"}, provides=frozenset({"cpu", "directml"}), **NVIDIA),
}


@pytest.mark.parametrize(("state", "words", "commands"), WITH_COMMANDS.values(), ids=WITH_COMMANDS)
def test_what_commands_mend(state: State, words: str, commands: list[str]) -> None:
    (problem,) = find_problems(state)
    assert words in problem.what
    assert list(problem.commands) == commands


@pytest.mark.parametrize(("state", "words"), BEYOND_PIP.values(), ids=BEYOND_PIP)
def test_what_pip_cannot_mend(state: State, words: str) -> None:
    (problem,) = find_problems(state)
    assert words in problem.what
    assert problem.commands == ()


@pytest.mark.parametrize("state", IN_ORDER.values(), ids=IN_ORDER)
def test_what_is_in_order(state: State) -> None:
    assert find_problems(state) == []


def test_commands_for_another_shell_and_a_path_with_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    (problem,) = find_problems(State(GPU, **NVIDIA, **CUDA_13, reasons=NOT_LOADED, missing=MISSING))
    assert problem.commands == ("'/opt/my python/bin/python' -m pip install 'onnxruntime-gpu[cuda,cudnn]'",)
    monkeypatch.setattr(sys, "platform", "win32")
    (problem,) = find_problems(State(GPU, **NVIDIA, **CUDA_13, reasons=NOT_LOADED, missing=MISSING))
    assert problem.commands == ('"/opt/my python/bin/python" -m pip install "onnxruntime-gpu[cuda,cudnn]"',)
