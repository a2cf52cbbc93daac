"""The NVIDIA driver and its GPUs, read with the driver's own library, NVML, by the package nvidia-ml-py.

No driver, or no such package, is no error: every function then returns None, or nothing.
"""

import functools
import importlib.util
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_BOARD = Path("/proc/device-tree/model")
_RELEASE = Path("/etc/nv_tegra_release")
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")
_PCI = Path("/sys/bus/pci/devices")
_JETPACKS = {32: 4, 35: 5, 36: 6, 38: 7, 39: 7}
"""The JetPack that a release of Jetson Linux belongs to, by their first numbers."""

T = TypeVar("T")


@dataclass(frozen=True)
class Gpu:
    """One GPU. What the driver does not report, as on a Jetson, is None. Memory is in bytes.

    ``index`` is NVML's, in the order of the PCI bus. CUDA's own order is that one with the environment variable
    ``CUDA_DEVICE_ORDER=PCI_BUS_ID``; GPUs that ``CUDA_VISIBLE_DEVICES`` hides from CUDA are here too.
    """

    index: int
    name: str
    uuid: str | None
    compute_capability: str | None
    total_memory: int | None
    free_memory: int | None


def has_nvml_package() -> bool:
    """Whether nvidia-ml-py is installed. Nothing is imported."""
    return importlib.util.find_spec("pynvml") is not None


def driver_version() -> str | None:
    """The driver's version, such as "580.95.05"; without nvidia-ml-py as its kernel module gives it, on Linux."""
    version = _read_nvml(lambda nvml: str(nvml.nvmlSystemGetDriverVersion()))
    if version is None and not has_nvml_package():
        found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", _read(_KERNEL_MODULE))
        return found[1] if found else None
    return version


def cuda_version() -> str | None:
    """The newest CUDA that the driver can run, such as "13.0". It also runs what is built for an older one."""
    number = _read_nvml(lambda nvml: int(nvml.nvmlSystemGetCudaDriverVersion_v2()))
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def driver_fault() -> str | None:
    """Why an installed driver does not respond; None where it does, and where there is none."""
    nvml, error = _nvml()
    if nvml is None or error is None or isinstance(error, _not_there(nvml)):
        return None
    try:
        return str(nvml.nvmlErrorString(error.value))
    except nvml.NVMLError:
        return str(error)


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that the driver has."""
    count = _read_nvml(lambda nvml: int(nvml.nvmlDeviceGetCount())) or 0
    handles = ((index, _handle(index)) for index in range(count))
    return tuple(_describe(index, handle) for index, handle in handles if handle is not None)


def process_memory(index: int, pid: int | None = None) -> int | None:
    """The bytes that a process, this one by default, holds on the GPU of that index.

    None where the driver does not report it: on a Jetson, on Windows' desktops, and in a container that has its own
    process numbers, because the driver knows those of the machine.
    """
    handle = _handle(index)
    if handle is None:
        return None
    processes = _read_nvml(lambda nvml: list(nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)))
    own = [process.usedGpuMemory for process in processes or () if process.pid == (pid or os.getpid())]
    return sum(own) if own and None not in own else None


def pci_gpus() -> int:
    """How many NVIDIA GPUs are on the PCI bus, with or without a driver. Linux only: 0 elsewhere."""
    return sum(_read(device / "vendor") == "0x10de" and _read(device / "class")[:4] == "0x03" for device in _devices())


def jetson() -> str | None:
    """The name of this Jetson with the release of its Linux, such as "NVIDIA Jetson AGX Orin, R36.4.3"; else None."""
    board, release = _read(_BOARD), _release()
    if "jetson" not in board.lower() and release is None:
        return None
    return ", ".join(filter(None, (board or "NVIDIA Jetson", release)))


def jetpack() -> int | None:
    """The first number of the JetPack on this Jetson; None where it is not known, or this is none."""
    release = _release()
    return None if release is None else _JETPACKS.get(int(release[1:].split(".")[0]))


def _release() -> str | None:
    """Read from "# R36 (release), REVISION: 4.3, GCID: …"; containers often lack the file."""
    found = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", _read(_RELEASE))
    return f"R{found[1]}.{found[2]}" if found else None


def _devices() -> list[Path]:
    return list(_PCI.iterdir()) if _PCI.is_dir() else []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


@functools.cache
def _nvml() -> tuple[Any, Any]:
    """The module pynvml and the error of its initialization; None for either that is not there.

    NVML stays initialized until the process ends.
    """
    if not has_nvml_package():
        return None, None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return pynvml, error
    return pynvml, None


def _not_there(nvml: Any) -> tuple[type[Exception], ...]:
    """The errors of a machine without a driver, or with one older than NVML."""
    return nvml.NVMLError_LibraryNotFound, nvml.NVMLError_FunctionNotFound


def _read_nvml(read: Callable[[Any], T]) -> T | None:
    """The result of ``read``, which is given pynvml; None without a driver, and for what it does not report."""
    nvml, error = _nvml()
    if nvml is None or error is not None:
        return None
    try:
        return read(nvml)
    except nvml.NVMLError:
        return None


def _handle(index: int) -> Any:
    return _read_nvml(lambda nvml: nvml.nvmlDeviceGetHandleByIndex(index))


def _describe(index: int, handle: Any) -> Gpu:
    memory = _read_nvml(lambda nvml: nvml.nvmlDeviceGetMemoryInfo(handle))
    capability = _read_nvml(lambda nvml: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    return Gpu(
        index=index,
        name=_read_nvml(lambda nvml: str(nvml.nvmlDeviceGetName(handle))) or "an NVIDIA GPU",
        uuid=_read_nvml(lambda nvml: str(nvml.nvmlDeviceGetUUID(handle))),
        compute_capability=None if capability is None else ".".join(map(str, capability)),
        total_memory=None if memory is None else int(memory.total),
        free_memory=None if memory is None else int(memory.free),
    )
