"""What a graph is compiled for: the device, its driver, and the versions of what compiled it."""

import ctypes
import dataclasses
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .errors import ProviderError
from .providers import PROVIDERS
from .runtime import load_cuda_libraries, runtime

_CPU_INFO = Path("/proc/cpuinfo")
_VECTORS = re.compile(r"\b(?:avx2?|avx512(?:f|bw|_vnni|_bf16|_fp16)|avx_vnni|amx_\w+|fma|asimd\w*|sve\w*|i8mm|bf16)\b")
"""The CPU's features that kernels, and with them the layout of weights, are chosen by."""
_COMPUTE_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_DRIVER_VERSION = Path("/proc/driver/nvidia/version")
# The version that ONNX Runtime's provider is linked to.
_TENSORRT = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
_ON_CUDA = ("tensorrt", "tensorrt-rtx")


@dataclass(frozen=True)
class Machine:
    """All of a machine that what was compiled on it depends on.

    Attributes:
        device: a GPU's name and compute capability, or a CPU's name and vector extensions; never its index.
        driver: of the GPU; None for a CPU.
        onnxruntime: its version.
        compiler: the name and version of what compiles: TensorRT, or a provider's plugin; None for ONNX Runtime itself.
    """

    device: str
    driver: str | None
    onnxruntime: str
    compiler: str | None

    @classmethod
    def of(cls, provider: str, which: str | None = None) -> Self:
        """The machine that this is, for a provider and one of its devices; ProviderError where that does not load."""
        version = str(runtime().__version__)
        metadata = _plugin(provider, which)
        compiler = f"the plugin {metadata['version']}" if "version" in metadata else None
        if provider in _ON_CUDA:
            load_cuda_libraries()
            name, driver = cuda_device(int(which or 0))
            return cls(name, driver, version, compiler or f"TensorRT {tensorrt_version()}")
        kind = which or metadata.get("ov_device", "CPU")
        return cls(
            cpu_name() if kind == "CPU" else f"{kind} {metadata.get('FULL_DEVICE_NAME')}", None, version, compiler
        )

    def differences(self, built: "Machine") -> Iterator[str]:
        """How the machine that something was ``built`` on differs from this one, in words."""
        if built.device != self.device:
            yield f"built for {built.device}, this is {self.device}"
        if built.driver != self.driver:
            yield f"built with driver {built.driver}, this is {self.driver}"
        if built.onnxruntime != self.onnxruntime:
            yield f"built with ONNX Runtime {built.onnxruntime}, this is {self.onnxruntime}"
        if built.compiler != self.compiler:
            yield f"built with {built.compiler}, this is {_last_word(self.compiler, built.compiler)}"

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def cpu_name() -> str:
    """The CPU's name and its vector extensions."""
    try:
        text = _CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"(?:model name|Model|Hardware)\s*:\s*(.+)", text)
    part = re.search(r"CPU part\s*:\s*(\w+)", text)
    features = re.search(r"(?:flags|Features)\s*:\s*(.+)", text)
    found = sorted(set(_VECTORS.findall(features[1]))) if features else []
    words = [name[1] if name else platform.machine(), part[1] if part else "", *found]
    return " ".join(filter(None, words))


def cuda_device(index: int) -> tuple[str, str | None]:
    """A GPU as CUDA counts them: name and compute capability, and the driver's version. ProviderError without one."""
    try:
        driver = ctypes.CDLL(_CUDA_DRIVER)
    except OSError as error:
        raise ProviderError(f"NVIDIA's driver is not there: {error}") from None
    handle, name, version = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(handle), index)
    if failed or driver.cuDeviceGetName(name, len(name), handle) or driver.cuDriverGetVersion(ctypes.byref(version)):
        raise ProviderError(f"there is no GPU {index}: CUDA's driver says {failed}")
    capability = []
    for attribute in _COMPUTE_CAPABILITY:
        value = ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle)
        capability.append(str(value.value))
    supported = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return f"{name.value.decode()} {'.'.join(capability)}", _driver_version() or f"of CUDA {supported}"


def tensorrt_version() -> str:
    """The version of the TensorRT that is loaded; ProviderError where none can be."""
    try:
        library = ctypes.CDLL(_TENSORRT)
    except OSError as error:
        raise ProviderError(f"TensorRT is not there: {error}") from None
    parts = (getattr(library, f"getInferLib{part}Version")() for part in ("Major", "Minor", "Patch"))
    return ".".join(map(str, parts))


def _driver_version() -> str | None:
    """Linux's; elsewhere it is not told without NVML."""
    try:
        found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", _DRIVER_VERSION.read_text(encoding="utf-8"))
    except OSError:
        return None
    return found[1] if found else None


def _plugin(provider: str, which: str | None) -> Mapping[str, str]:
    """What a plugin says of its device; nothing for a provider that is none."""
    ort_name = next(row.ort_name for row in PROVIDERS if row.name == provider)
    devices: list[Any] = getattr(runtime(), "get_ep_devices", list)()
    found = [dict(device.ep_metadata) for device in devices if device.ep_name == ort_name]
    if which is not None and which.isdecimal():
        found = found[int(which) :]
    elif which is not None:
        found = [metadata for metadata in found if metadata.get("ov_device") == which]
    return found[0] if found and provider != "cpu" else {}


def _last_word(version: str | None, other: str | None) -> str:
    """``version`` without the words that it shares with ``other``."""
    ours, theirs = str(version).rpartition(" "), str(other).rpartition(" ")
    return ours[2] if ours[0] == theirs[0] else str(version)
