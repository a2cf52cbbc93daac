"""The state of an installation of ONNX Runtime, and the pip commands for it."""

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..runtime.providers.table import CPU

CPU_PACKAGE, GPU_PACKAGE, NVML_PACKAGE = "onnxruntime", "onnxruntime-gpu", "nvidia-ml-py"
_EXTRAS = "[cuda,cudnn]"
_LAST_FOR_CUDA_12 = "<1.27"
"""onnxruntime-gpu 1.26.0 on PyPI is built for CUDA 12.8, 1.27.0 for 13.0."""
_JETSON_WHEELS = {6: "https://pypi.jetson-ai-lab.io/jp6/cu129", 7: "https://pypi.jetson-ai-lab.io/sbsa/cu130"}
"""The index of wheels for a JetPack, by its first number, of NVIDIA's Jetson AI Lab.

PyPI has aarch64 wheels too, for CUDA 13 and servers. For JetPack 6, jp6/cu129 was seen to hold a wheel for Python 3.12,
jp6/cu126 none but for 3.10, which is too old for us.
"""


@dataclass(frozen=True)
class State:
    """The facts that problems are derived from.

    Attributes:
        packages: the installed packages that contain the module ``onnxruntime``, with versions.
        broken: why that module cannot be used, where it is installed.
        cuda_build: the CUDA that it is built for; None for none.
        provides: the names of the providers that it, or a plugin, has.
        has_gpu: whether there is an NVIDIA GPU, with or without a driver.
        has_nvml: whether nvidia-ml-py, which reads the driver's facts, is installed.
        driver_cuda: the newest CUDA that the driver runs; None where no driver responds.
        driver_fault: why an installed driver does not respond.
        is_jetson, jetpack: whether this is a Jetson, and the first number of its JetPack where it is known.
        missing: the names of the CUDA libraries that it needs and does not find.
        reasons: for each provider that was tried, why it does not run, or None.
    """

    packages: Mapping[str, str]
    broken: str | None = None
    cuda_build: str | None = None
    provides: frozenset[str] = frozenset({CPU.name})
    has_gpu: bool = False
    has_nvml: bool = True
    driver_cuda: str | None = None
    driver_fault: str | None = None
    is_jetson: bool = False
    jetpack: int | None = None
    missing: tuple[str, ...] = ()
    reasons: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def wheels(self) -> str | None:
        """The index of wheels for this Jetson; None where this is none, or too old for any wheel."""
        return _JETSON_WHEELS.get(self.jetpack or max(_JETSON_WHEELS)) if self.is_jetson else None

    @property
    def wants_cuda(self) -> bool:
        """Whether there is an NVIDIA GPU that some package supports."""
        return self.has_gpu and (not self.is_jetson or self.wheels is not None)


def install(state: State) -> str:
    """The command that installs the package for this machine."""
    if state.wheels is not None:
        return pip("install", "--index-url", state.wheels, GPU_PACKAGE)
    if state.wants_cuda:
        return pip("install", with_cuda(state))
    others = [name for name in state.packages if name not in (CPU_PACKAGE, GPU_PACKAGE)]
    return pip("install", others[0] if others else CPU_PACKAGE)


def with_cuda(state: State) -> str:
    """The requirement of the newest package that the driver supports, with CUDA and cuDNN."""
    is_old = state.driver_cuda is not None and major(state.driver_cuda) == 12
    return GPU_PACKAGE + _EXTRAS + (_LAST_FOR_CUDA_12 if is_old else "")


def uninstall(packages: Mapping[str, str]) -> str:
    """The command that uninstalls these packages."""
    return pip("uninstall", "--yes", *packages)


def reinstall(packages: Mapping[str, str]) -> tuple[str, ...]:
    """The commands that restore the package's own files, and then its missing dependencies."""
    ((name, version),) = packages.items()
    return (pip("install", "--force-reinstall", "--no-deps", f"{name}=={version}"), pip("install", name))


def pip(*arguments: str) -> str:
    """A pip command to paste into a shell, for the Python that runs this program."""
    command = [sys.executable, "-m", "pip", *arguments]
    return " ".join(map(_quote_for_windows, command)) if sys.platform == "win32" else shlex.join(command)


def _quote_for_windows(argument: str) -> str:
    return argument if re.fullmatch(r"[\w.:\\/=-]+", argument) else f'"{argument}"'


def major(version: str) -> int:
    """The first number of a version."""
    return int(version.split(".")[0])
