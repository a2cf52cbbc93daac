"""Which execution providers there are, and which of them to run on.

ONNX Runtime only warns when a provider cannot load, and goes on without it. Here a provider that was named either runs
or raises ProviderError with the reason and the remedy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from . import plugins
from .errors import ProviderError, choose_from
from .provider_options import check_options
from .runtime import installed_packages, runtime


@dataclass(frozen=True)
class Provider:
    """One way to run a graph: our name, ONNX Runtime's name, and the package that brings it."""

    name: str
    ort_name: str
    remedy: str
    library: str | None = None
    """The shared library that holds it, where that is a file of its own."""
    static_shapes: bool = False
    """Whether it compiles the graph anew for every shape, so that few shapes should come up."""
    memory: str | None = None
    """What ONNX Runtime calls its memory; None where it is handed the host's arrays."""
    device_option: str | None = None
    """The option that says which of several devices."""
    on_host: bool = False
    """Whether it computes in the host's memory, so that what is left to the CPU costs no way over a bus."""
    plugin: str | None = None
    """The module of the package that brings it as a plugin, where there is one."""

    @property
    def as_plugin(self) -> plugins.Plugin | None:
        """The plugin that brings it, where one is installed."""
        return plugins.find(self.plugin)


_CUDA_REMEDY = (
    "pip install 'onnxruntime-gpu[cuda,cudnn]' (after pip uninstall onnxruntime), on a machine with an NVIDIA GPU"
)

PROVIDERS = (
    Provider(
        "tensorrt",
        "TensorrtExecutionProvider",
        "install TensorRT 10 and onnxruntime-gpu (after pip uninstall onnxruntime)",
        "onnxruntime_providers_tensorrt",
        static_shapes=True,
        memory="cuda",
        device_option="device_id",
    ),
    Provider(
        "cuda",
        "CUDAExecutionProvider",
        _CUDA_REMEDY,
        "onnxruntime_providers_cuda",
        memory="cuda",
        device_option="device_id",
    ),
    Provider(
        "tensorrt-rtx",
        "NvTensorRTRTXExecutionProvider",
        "pip install onnxruntime-ep-nv-tensorrt-rtx, on a machine with an RTX GPU",
        static_shapes=True,
        device_option="device_id",
        plugin="onnxruntime_ep_nv_tensorrt_rtx",
    ),
    Provider(
        "migraphx",
        "MIGraphXExecutionProvider",
        "install AMD's onnxruntime-migraphx",
        static_shapes=True,
        device_option="device_id",
    ),
    Provider(
        "openvino",
        "OpenVINOExecutionProvider",
        "pip install onnxruntime-ep-openvino",
        "onnxruntime_providers_openvino",
        device_option="device_type",
        on_host=True,
        plugin="onnxruntime_ep_openvino",
    ),
    Provider(
        "coreml", "CoreMLExecutionProvider", "pip install onnxruntime, on macOS", static_shapes=True, on_host=True
    ),
    Provider(
        "directml", "DmlExecutionProvider", "pip install onnxruntime-directml, on Windows", device_option="device_id"
    ),
    Provider(
        "webgpu",
        "WebGpuExecutionProvider",
        "pip install onnxruntime-ep-webgpu, on a machine with a GPU and, on Linux, its Vulkan driver",
        plugin="onnxruntime_ep_webgpu",
    ),
    Provider("cpu", "CPUExecutionProvider", "pip install 'ddim-edge[cpu]'", on_host=True),
)
NAMES = ("auto", *(provider.name for provider in PROVIDERS))

# What `auto` tries, best first; TensorRT only where an engine of the graph is built already. The others trade start-up
# time or precision for speed and are taken only by name.
_AUTOMATIC = ("tensorrt", "cuda", "cpu")


@dataclass(frozen=True)
class Device:
    """What graphs are to run on.

    Attributes:
        provider: one of ``NAMES``.
        which: which of the provider's devices: a number, or for OpenVINO a name such as GPU; None for the first.
        options: the provider's own options, by their real names.
        allow_fallback: whether a relevant share of the work may go to the CPU where the provider cannot do it.

    Raises ProviderError for a provider, or a device of it, that cannot be.
    """

    provider: str = "auto"
    which: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    allow_fallback: bool = False

    def __post_init__(self) -> None:
        if self.provider not in NAMES:
            raise ProviderError(choose_from("provider", self.provider, NAMES))
        if self.provider == "auto":
            for what, given in (("device", self.which), ("option", next(iter(self.options), None))):
                if given is not None:
                    raise ProviderError(f"{what} {given!r} belongs to a provider: name it, as in --provider cuda")
            return
        check_options(self.provider, self.options, plugin=self._row.as_plugin is not None)
        if self.which is not None and self._row.device_option is None and self._row.plugin is None:
            raise ProviderError(f"provider {self.provider!r} has no devices to choose from: leave :{self.which} out")
        if self.which is not None and self._row.device_option == "device_id" and not self.which.isdecimal():
            raise ProviderError(f"{self.provider}:{self.which}: the device must be a number, for instance 0")

    @classmethod
    def parse(cls, text: str, options: Mapping[str, str] | None = None, *, allow_fallback: bool = False) -> Self:
        """Read ``PROVIDER[:DEVICE]``, for instance ``cuda:1``."""
        provider, colon, which = text.partition(":")
        return cls(provider, which if colon else None, options or {}, allow_fallback)

    @property
    def _row(self) -> Provider:
        return next(provider for provider in PROVIDERS if provider.name == self.provider)

    def candidates(self) -> Iterator[Provider]:
        """The providers to try, best first: one for a name, several for ``auto``.

        Raises ProviderError for a named provider that the installed package does not hold.
        """
        available = runtime().get_available_providers()
        if self.provider == "auto":
            yield from (row for row in PROVIDERS if row.name in _AUTOMATIC and row.ort_name in available)
            return
        if self._row.ort_name not in available and self._row.as_plugin is None:
            raise ProviderError(_not_in_package(self._row, available))
        yield self._row


def _not_in_package(provider: Provider, available: list[str]) -> str:
    packages = " and ".join(f"{package} {version}" for package, version in installed_packages().items())
    names = ", ".join(row.name for row in PROVIDERS if row.ort_name in available)
    return (
        f"provider {provider.name!r} is not in the installed {packages or 'onnxruntime'} (it has {names}). "
        f"Remedy: {provider.remedy}, or --provider auto"
    )
