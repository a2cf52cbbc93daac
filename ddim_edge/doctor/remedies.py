"""Derives the problems of an installation, and the commands that fix them."""

from dataclasses import dataclass

from ..runtime.providers.onnxruntime_module import NOT_INSTALLED
from ..runtime.providers.table import ON_NVIDIA
from .installation import (
    CPU_PACKAGE,
    GPU_PACKAGE,
    NVML_PACKAGE,
    State,
    install,
    major,
    pip,
    reinstall,
    uninstall,
    with_cuda,
)

_INSTALL_DRIVER = "install NVIDIA's driver, or, in a container, start that with the GPU, as docker run --gpus all does"
_DRIVER_LIBRARY = "libcuda.so.1"
_JETPACK_CUDA = {6: 12, 7: 13}


@dataclass(frozen=True)
class Problem:
    """A problem, and the commands that fix it; none where pip cannot."""

    what: str
    commands: tuple[str, ...] = ()


def find_problems(state: State) -> list[Problem]:
    """All problems, the most severe first."""
    if state.has_gpu and not state.has_nvml:  # the rest follows from what the driver reports
        what = f"there is an NVIDIA GPU, and {NVML_PACKAGE}, which reads its driver, is not installed"
        return [Problem(f"{what}: install it, then run ddim-edge doctor again", (pip("install", NVML_PACKAGE),))]
    found = (_package_problem(state), _driver_problem(state), _cuda_problem(state))
    return [problem for problem in found if problem is not None]


def _package_problem(state: State) -> Problem | None:
    installed, names = state.packages, " and ".join(state.packages)
    if not installed and state.broken is not None:
        return Problem(NOT_INSTALLED, (install(state),))
    if len(installed) > 1:
        both = f"{names} are both installed and overwrite each other: uninstall them, then install the one you want"
        return Problem(both, (uninstall(installed), install(state)))
    if state.broken is not None:
        return Problem(state.broken, reinstall(installed))
    if state.wants_cuda and CPU_PACKAGE in installed and not state.provides & ON_NVIDIA:
        what = f"{names} has no provider for the NVIDIA GPU of this machine"
        return Problem(what, (uninstall(installed), install(state)))
    return None


def _driver_problem(state: State) -> Problem | None:
    if state.driver_fault is not None:
        return Problem(f"the NVIDIA driver does not answer: {state.driver_fault}. Restart the machine, or reinstall it")
    if state.has_gpu and state.driver_cuda is None and not state.is_jetson:
        return Problem(f"there is an NVIDIA GPU, and no driver is found: {_INSTALL_DRIVER}")
    return None


def _cuda_problem(state: State) -> Problem | None:
    """Why the provider of onnxruntime-gpu does not run, where no other problem explains it."""
    if state.cuda_build is None or [*state.packages] != [GPU_PACKAGE] or state.reasons.get("cuda") is None:
        return None
    build = f"this {GPU_PACKAGE} is built for CUDA {state.cuda_build}"
    if state.is_jetson:
        return _jetson_problem(state, build)
    if state.driver_cuda is not None and major(state.driver_cuda) < major(state.cuda_build):
        what = f"{build}, and the NVIDIA driver runs no newer one than {state.driver_cuda}: install a newer driver"
        return Problem(f"{what}, or an older {GPU_PACKAGE}", _for_driver(state))
    if not state.missing:
        return _no_libcuda(state)
    idle = "" if state.has_gpu else ". No NVIDIA GPU is seen here: for the CPU alone, onnxruntime is enough"
    return Problem(f"{build}, and does not find {', '.join(state.missing)}{idle}", (pip("install", with_cuda(state)),))


def _no_libcuda(state: State) -> Problem | None:
    """The driver's own library is missing, while all that pip installs is there."""
    if _DRIVER_LIBRARY not in (state.reasons["cuda"] or "") or _driver_problem(state) is not None:
        return None
    return Problem(
        f"CUDA is installed, and {_DRIVER_LIBRARY}, which the driver brings, is not found: {_INSTALL_DRIVER}"
    )


def _jetson_problem(state: State, build: str) -> Problem | None:
    own = _JETPACK_CUDA.get(state.jetpack or 0)
    if own is not None and own != major(state.cuda_build or "0"):
        what = f"{build}, and JetPack {state.jetpack} has CUDA {own}"
        return Problem(what, (uninstall(state.packages), install(state)))
    if state.missing:
        what = f"{build}, and does not find {', '.join(state.missing)}: they come with JetPack"
        return Problem(f"{what} (sudo apt install nvidia-jetpack)")
    return None


def _for_driver(state: State) -> tuple[str, ...]:
    return (pip("install", with_cuda(state)),) if major(state.driver_cuda or "0") == 12 else ()
