"""The NVIDIA driver and its GPUs, as the driver's own library (NVML) tells of them.

A machine without NVIDIA is no error here: every function then returns None, or nothing.
"""

import ctypes
import functools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_LIBRARY = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
_BOARD = Path("/proc/device-tree/model")
_RELEASE = Path("/etc/nv_tegra_release")
_PCI = Path("/sys/bus/pci/devices")

_SUCCESS, _INSUFFICIENT_SIZE, _FUNCTION_NOT_FOUND = 0, 7, 13
_TEXT_SIZE = 96
"""The longest of NVML's texts, a device's name, with its end."""
_UNKNOWN = ctypes.c_ulonglong(-1).value
"""What NVML says for a process's memory where the operating system, not the driver, manages it."""
_JETPACKS = {32: 4, 35: 5, 36: 6, 38: 7, 39: 7}
"""The JetPack that a release of Jetson Linux belongs to, by their first numbers."""


@dataclass(frozen=True)
class Gpu:
    """One GPU; what the driver does not tell, as on a Jetson, is None. Memory is in bytes.

    ``index`` is NVML's, in the order of the PCI bus. CUDA's own order is that one where the environment says
    ``CUDA_DEVICE_ORDER=PCI_BUS_ID``; GPUs that ``CUDA_VISIBLE_DEVICES`` hides from CUDA are here too.
    """

    index: int
    name: str
    uuid: str | None
    compute_capability: str | None
    total_memory: int | None
    free_memory: int | None


class _Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


class _Process(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


def driver_version() -> str | None:
    """The driver's version, such as "580.95.05"."""
    return _text("nvmlSystemGetDriverVersion")


def cuda_version() -> str | None:
    """The newest CUDA that the driver can run, such as "13.0"; what is built for an older one runs too."""
    number = ctypes.c_int()
    if _call("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(number)) != _SUCCESS:
        return None
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def driver_fault() -> str | None:
    """Why a driver that is installed does not answer; None where it does, and where there is none."""
    library, status = _nvml()
    if library is None or status == _SUCCESS:
        return None
    words = library.nvmlErrorString
    words.restype = ctypes.c_char_p
    return bytes(words(status)).decode(errors="replace")


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that the driver has."""
    count = ctypes.c_uint()
    if _call("nvmlDeviceGetCount_v2", ctypes.byref(count)) != _SUCCESS:
        return ()
    found = ((index, _handle(index)) for index in range(count.value))
    return tuple(_describe(index, handle) for index, handle in found if handle is not None)


def process_memory(index: int, pid: int | None = None) -> int | None:
    """The bytes that a process, this one where none is named, holds on the GPU of that index.

    None where the driver does not say: on a Jetson, on Windows' desktops, and in a container that has its own process
    numbers, for the driver knows the machine's.
    """
    handle, count = _handle(index), ctypes.c_uint(0)
    name = "nvmlDeviceGetComputeRunningProcesses_v3"
    if handle is None or _call(name, handle, ctypes.byref(count), None) != _INSUFFICIENT_SIZE:
        return None
    count.value += 16  # others may start meanwhile
    processes = (_Process * count.value)()
    if _call(name, handle, ctypes.byref(count), processes) != _SUCCESS:
        return None
    own = [process.used for process in processes[: count.value] if process.pid == (pid or os.getpid())]
    return sum(own) if own and _UNKNOWN not in own else None


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
def _nvml() -> tuple[ctypes.CDLL | None, int]:
    """The library, and what starting it returned. It stays open until the process ends."""
    try:
        library = ctypes.CDLL(_LIBRARY)
        return library, int(library.nvmlInit_v2())
    except (OSError, AttributeError):
        return None, _FUNCTION_NOT_FOUND


def _call(name: str, *arguments: object) -> int:
    library, status = _nvml()
    if library is None or status != _SUCCESS:
        return status or _FUNCTION_NOT_FOUND
    function: Callable[..., int] | None = getattr(library, name, None)
    return _FUNCTION_NOT_FOUND if function is None else function(*arguments)


def _handle(index: int) -> ctypes.c_void_p | None:
    handle = ctypes.c_void_p()
    found = _call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle)) == _SUCCESS
    return handle if found else None


def _text(name: str, *device: ctypes.c_void_p) -> str | None:
    buffer = ctypes.create_string_buffer(_TEXT_SIZE)
    found = _call(name, *device, buffer, ctypes.c_uint(_TEXT_SIZE)) == _SUCCESS
    return buffer.value.decode(errors="replace") if found else None


def _describe(index: int, handle: ctypes.c_void_p) -> Gpu:
    memory = _Memory()
    has_memory = _call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory)) == _SUCCESS
    return Gpu(
        index=index,
        name=_text("nvmlDeviceGetName", handle) or "an NVIDIA GPU",
        uuid=_text("nvmlDeviceGetUUID", handle),
        compute_capability=_compute_capability(handle),
        total_memory=memory.total if has_memory else None,
        free_memory=memory.free if has_memory else None,
    )


def _compute_capability(handle: ctypes.c_void_p) -> str | None:
    major, minor = ctypes.c_int(), ctypes.c_int()
    status = _call("nvmlDeviceGetCudaComputeCapability", handle, ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}" if status == _SUCCESS else None
