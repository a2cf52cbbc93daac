"""What is wrong with an installation, and the exact commands that mend it."""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...runtime import NOT_INSTALLED

CPU_PACKAGE, GPU_PACKAGE = "onnxruntime", "onnxruntime-gpu"
_EXTRAS = "[cuda,cudnn]"
_LAST_FOR_CUDA_12 = "<1.27"
"""onnxruntime-gpu 1.26.0 on PyPI is built for CUDA 12.8, 1.27.0 for 13.0."""
JETSON_WHEELS = {
    6: "https://pypi.jetson-ai-lab.io/jp6/cu129",
    7: "https://pypi.jetson-ai-lab.io/sbsa/cu130",
}
"""Where the wheels for a JetPack are, by its first number: an index of NVIDIA's Jetson AI Lab.

PyPI's own aarch64 wheels are built for servers and CUDA 13. Of those for JetPack 6, ``jp6/cu126`` is for Python 3.10,
which is too old for us; ``jp6/cu129`` holds wheels for 3.12 too.
"""


_JETPACK_CUDA = {6: 12, 7: 13}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and the commands that mend it: none where pip cannot."""

    what: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What there is to judge.

    Attributes:
        packages: the installed distributions that bring the module ``onnxruntime``, with versions.
        broken: why that module cannot be used, where it is installed.
        cuda_build: the CUDA that it is built for; None for none.
        provides: the names of the providers that it holds, or a plugin.
        has_gpu: whether there is an NVIDIA GPU, with or without a driver.
        driver_cuda: the newest CUDA that the driver runs; None where there is no driver that answers.
        driver_fault: why a driver that is there does not answer.
        is_jetson, jetpack: whether this is a Jetson, and the first number of its JetPack where it is known.
        missing: the names of the CUDA libraries that it asks for and does not find.
        reasons: for each provider that was tried, why it does not run, or None.
    """

    packages: Mapping[str, str]
    broken: str | None = None
    cuda_build: str | None = None
    provides: frozenset[str] = frozenset({"cpu"})
    has_gpu: bool = False
    driver_cuda: str | None = None
    driver_fault: str | None = None
    is_jetson: bool = False
    jetpack: int | None = None
    missing: tuple[str, ...] = ()
    reasons: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def wheels(self) -> str | None:
        """Where a Jetson's wheels are; None where this is none, or one too old to have any."""
        return JETSON_WHEELS.get(self.jetpack or max(JETSON_WHEELS)) if self.is_jetson else None

    @property
    def wants_cuda(self) -> bool:
        """Whether there is a GPU that a package is made for."""
        return self.has_gpu and (not self.is_jetson or self.wheels is not None)


def find_problems(state: State) -> list[Problem]:
    """All that is wrong; the worst first."""
    found = (_package_problem(state), _driver_problem(state), _cuda_problem(state))
    return [problem for problem in found if problem is not None]


def _package_problem(state: State) -> Problem | None:
    installed, names = state.packages, " and ".join(state.packages)
    if not installed and state.broken is not None:
        return Problem(NOT_INSTALLED, (_install(state),))
    if len(installed) > 1:
        both = f"{names} are both installed and overwrite each other: uninstall them, then install the one you want"
        return Problem(both, (_uninstall(installed), _install(state)))
    if state.broken is not None:
        return Problem(state.broken, _reinstall(installed))
    if state.wants_cuda and CPU_PACKAGE in installed and not state.provides & {"cuda", "tensorrt", "tensorrt-rtx"}:
        what = f"{names} has no provider for the NVIDIA GPU of this machine"
        return Problem(what, (_uninstall(installed), _install(state)))
    return None


def _driver_problem(state: State) -> Problem | None:
    if state.driver_fault is not None:
        return Problem(f"the NVIDIA driver does not answer: {state.driver_fault}. Restart the machine, or reinstall it")
    if state.has_gpu and state.driver_cuda is None and not state.is_jetson:
        return Problem(
            "there is an NVIDIA GPU, and no driver is found: install NVIDIA's driver "
            "(in a container: start it with the GPU, as docker run --gpus all)"
        )
    return None


def _cuda_problem(state: State) -> Problem | None:
    """Of the package for NVIDIA, where nothing worse is wrong and its provider does not run."""
    if state.cuda_build is None or [*state.packages] != [GPU_PACKAGE] or state.reasons.get("cuda") is None:
        return None
    build = f"this {GPU_PACKAGE} is built for CUDA {state.cuda_build}"
    if state.is_jetson:
        return _jetson_problem(state, build)
    if state.driver_cuda is not None and _major(state.driver_cuda) < _major(state.cuda_build):
        what = f"{build}, and the NVIDIA driver runs no newer one than {state.driver_cuda}: install a newer driver"
        return Problem(f"{what}, or an older {GPU_PACKAGE}", _for_driver(state))
    if not state.missing:
        return None
    idle = "" if state.has_gpu else ". No NVIDIA GPU is seen here: for the CPU alone, onnxruntime is enough"
    return Problem(
        f"{build}, and does not find {', '.join(state.missing)}{idle}", (_pip("install", _with_cuda(state)),)
    )


def _jetson_problem(state: State, build: str) -> Problem | None:
    own = _JETPACK_CUDA.get(state.jetpack or 0)
    if own is not None and own != _major(state.cuda_build or "0"):
        what = f"{build}, and JetPack {state.jetpack} has CUDA {own}"
        return Problem(what, (_uninstall(state.packages), _install(state)))
    if state.missing:
        what = f"{build}, and does not find {', '.join(state.missing)}: they come with JetPack"
        return Problem(f"{what} (sudo apt install nvidia-jetpack)")
    return None


def _install(state: State) -> str:
    if state.wheels is not None:
        return _pip("install", "--index-url", state.wheels, GPU_PACKAGE)
    if state.wants_cuda:
        return _pip("install", _with_cuda(state))
    others = [name for name in state.packages if name not in (CPU_PACKAGE, GPU_PACKAGE)]
    return _pip("install", others[0] if others else CPU_PACKAGE)


def _with_cuda(state: State) -> str:
    """The newest package that the driver is new enough for, with CUDA and cuDNN."""
    is_old = state.driver_cuda is not None and _major(state.driver_cuda) == 12
    return GPU_PACKAGE + _EXTRAS + (_LAST_FOR_CUDA_12 if is_old else "")


def _for_driver(state: State) -> tuple[str, ...]:
    return (_pip("install", _with_cuda(state)),) if _major(state.driver_cuda or "0") == 12 else ()


def _uninstall(packages: Mapping[str, str]) -> str:
    return _pip("uninstall", "--yes", *packages)


def _reinstall(packages: Mapping[str, str]) -> tuple[str, ...]:
    """The files of the package itself, then what it needs and may have lost."""
    ((name, version),) = packages.items()
    return (_pip("install", "--force-reinstall", "--no-deps", f"{name}=={version}"), _pip("install", name))


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)


def _major(version: str) -> int:
    return int(version.split(".")[0])
