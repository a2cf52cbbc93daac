"""The machine that a graph is compiled for: the device, its driver, and the versions of the compilers."""

import ctypes
import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from ...errors import ProviderError
from ..hardware import nvidia
from ..hardware.cpu_name import cpu_with_vectors
from ..providers import openvino_module
from ..providers.onnxruntime_module import load_cuda_libraries, runtime
from ..providers.table import provider_named

_COMPUTE_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
# The version that ONNX Runtime's provider is linked to.
_TENSORRT = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"


@dataclass(frozen=True)
class Machine:
    """The facts of a machine that a compiled graph depends on.

    Attributes:
        device: a GPU's name and compute capability, or a CPU's name and vector extensions; never its index.
        driver: of the GPU; None for a CPU.
        onnxruntime: its version.
        compiler: name and version of the compiler: TensorRT, or a provider's plugin; None for ONNX Runtime itself.
    """

    device: str
    driver: str | None
    onnxruntime: str
    compiler: str | None

    @classmethod
    def of(cls, provider: str, which: str | None = None) -> Self:
        """Describe this machine for one device of a provider. Raises ProviderError where the provider does not load."""
        row = provider_named(provider)
        plugin, version = row.as_plugin, str(runtime().__version__)
        if row.uses_own_runtime(which):
            name = openvino_module.device_named(which)
            return cls(cpu_with_vectors() if name == "CPU" else name, None, version, openvino_module.version())
        compiler = plugin.package if plugin else None
        if row.is_nvidia:
            load_cuda_libraries()
            name, driver = cuda_device(int(which or 0))
            return cls(name, driver, version, compiler or f"TensorRT {tensorrt_version()}")
        kind = _plugin_device(plugin.device(row.ort_name, which)) if plugin else which
        return cls(cpu_with_vectors() if kind in (None, "CPU") else str(kind), None, version, compiler)

    @classmethod
    def all_of(cls, provider: str) -> list[Self]:
        """Describe this machine for each of the provider's devices."""
        row = provider_named(provider)
        if row.is_nvidia:
            return [cls.of(provider, str(index)) for index in range(cuda_device_count())]
        plugin = row.as_plugin
        return (
            [cls.of(provider, str(at)) for at, _ in enumerate(plugin.devices(row.ort_name))]
            if plugin
            else [cls.of(provider)]
        )

    def differences(self, built: "Machine") -> Iterator[str]:
        """How the machine that something was ``built`` on differs from this one, as text."""
        if built.device != self.device:
            yield f"built for {built.device}, this is {self.device}"
        if built.driver != self.driver:
            yield f"built with driver {built.driver}, this is {self.driver}"
        if built.onnxruntime != self.onnxruntime:
            yield f"built with ONNX Runtime {built.onnxruntime}, this is {self.onnxruntime}"
        if built.compiler != self.compiler:
            yield f"built with {built.compiler}, this is {_version_or_all(self.compiler, built.compiler)}"

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def cuda_device_count() -> int:
    """The number of GPUs that CUDA has. Raises ProviderError without NVIDIA's driver."""
    count = ctypes.c_int()
    _cuda("cuDeviceGetCount", ctypes.byref(count))
    return count.value


def cuda_device(index: int) -> tuple[str, str | None]:
    """The name and compute capability of a GPU, by CUDA's number, and the driver's version.

    Raises ProviderError where there is no such GPU.
    """
    handle, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    _cuda("cuDeviceGet", ctypes.byref(handle), index)
    _cuda("cuDeviceGetName", name, len(name), handle)
    capability = (_cuda_attribute(attribute, handle) for attribute in _COMPUTE_CAPABILITY)
    return f"{name.value.decode()} {'.'.join(map(str, capability))}", _driver_version()


def _cuda_attribute(attribute: int, handle: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _cuda("cuDeviceGetAttribute", ctypes.byref(value), attribute, handle)
    return value.value


def _cuda(function: str, *arguments: Any) -> None:
    """Call CUDA's driver. Unlike NVML it numbers the GPUs like ONNX Runtime, and every Jetson has it."""
    try:
        driver = ctypes.CDLL(_CUDA_DRIVER)
    except OSError as error:
        raise ProviderError(f"NVIDIA's driver is not there: {error}") from None
    failed = driver.cuInit(0) or getattr(driver, function)(*arguments)
    if failed:
        raise ProviderError(f"CUDA's driver refuses {function} with error {failed}: is there such a GPU?")


def tensorrt_version() -> str:
    """The version of the TensorRT that is loaded. Raises ProviderError where it cannot be loaded."""
    try:
        library = ctypes.CDLL(_TENSORRT)
    except OSError as error:
        raise ProviderError(f"TensorRT is not there: {error}") from None
    parts = (getattr(library, f"getInferLib{part}Version")() for part in ("Major", "Minor", "Patch"))
    return ".".join(map(str, parts))


def _driver_version() -> str:
    """The driver's version; on a Jetson, where the driver is part of the system, that of the system."""
    version = ctypes.c_int()
    _cuda("cuDriverGetVersion", ctypes.byref(version))
    of_cuda = f"of CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    return nvidia.driver_version() or nvidia.jetson() or of_cuda


def _plugin_device(device: Any) -> str:
    """CPU, or the type and name of the device, such as "GPU Intel(R) Arc(TM) A770"."""
    kind = str(device.device.type.name)
    return kind if kind == "CPU" else f"{kind} {device.ep_metadata.get('FULL_DEVICE_NAME', '')}".strip()


def _version_or_all(version: str | None, other: str | None) -> str:
    """The version number alone where ``other`` is of the same compiler, else all of ``version``."""
    ours, theirs = str(version).rpartition(" "), str(other).rpartition(" ")
    return ours[2] if ours[0] == theirs[0] else str(version)
