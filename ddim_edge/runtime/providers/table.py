"""The table of execution providers: one row for each, with all that differs between them but their options.

ONNX Runtime only warns when a provider cannot load, and goes on without it. Here a provider that was named either runs
or raises ProviderError with the reason and the remedy.
"""

import importlib.util
from dataclasses import dataclass
from enum import Enum

from ...errors import ProviderError, choose_from
from . import plugins


class CompiledForm(Enum):
    """What ``ddim-edge build`` writes for a provider."""

    ENGINES = "engines, which the provider finds by itself when the original graph is opened"
    CONTEXT = "an EPContext model: the graph with one node in place of all that the provider compiled"
    OPTIMIZED = "the graph as ONNX Runtime optimized it"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One execution provider: our name, ONNX Runtime's name, the package that brings it, and what it can do."""

    name: str
    ort_name: str
    remedy: str
    """How to install it."""
    library: str | None = None
    """The shared library that holds it, without prefix and suffix, where that is a file of its own."""
    plugin: str | None = None
    """The module of the package that brings it as a plugin, where there is one."""
    own_runtime: str | None = None
    """The module of its own runtime, which runs graphs without ONNX Runtime, where there is one."""
    automatic: bool = False
    """Whether ``auto`` tries it, in the order of the table. The others trade start-up time or precision for speed."""
    memory: str | None = None
    """ONNX Runtime's name of its memory; None where it is given arrays in the host's memory."""
    device_option: str | None = None
    """The option that chooses one of several devices; ``device_id`` takes numbers only."""
    on_host: bool = False
    """Whether it computes in the host's memory, so that nodes left to the CPU cost no transfer over a bus."""
    is_nvidia: bool = False
    """Whether its devices are NVIDIA's GPUs, with the numbers that CUDA gives them."""
    static_shapes: bool = False
    """Whether it compiles the graph anew for every shape, so that few shapes should come up."""
    cuda_graph: bool = False
    """Whether the network of the steps is recorded as a CUDA graph by default."""
    compiled_form: CompiledForm | None = None
    """What ``ddim-edge build`` writes for it; None where nothing can be built for it."""
    precisions: tuple[str, ...] = ()
    """What it can be told to compute float32 graphs in, besides float32; none where the types of the graph decide."""
    runs_unbuilt: str | None = None
    """The provider, from the same package, that runs a graph for which nothing is built; None for this one."""
    export_target: bool = False
    """Whether ``ddim-edge export --target`` knows it."""

    @property
    def as_plugin(self) -> plugins.Plugin | None:
        """The plugin that brings it, where one is installed."""
        return plugins.find(self.plugin)

    @property
    def has_own_runtime(self) -> bool:
        """Whether its own runtime is installed."""
        return self.own_runtime is not None and importlib.util.find_spec(self.own_runtime) is not None

    def uses_own_runtime(self, which: str | None) -> bool:
        """Whether its own runtime runs the device ``which``: it is installed, and no plugin takes that device."""
        if not self.has_own_runtime:
            return False
        try:
            return self.as_plugin is None or self.as_plugin.device(self.ort_name, which) is None
        except ProviderError:
            return True


_CUDA_REMEDY = (
    "pip install 'onnxruntime-gpu[cuda,cudnn]' (after pip uninstall onnxruntime), on a machine with an NVIDIA GPU"
)

CPU = Provider(
    name="cpu",
    ort_name="CPUExecutionProvider",
    remedy="pip install onnxruntime",
    automatic=True,
    on_host=True,
    compiled_form=CompiledForm.OPTIMIZED,
    export_target=True,
)
"""In every package of ONNX Runtime; takes what other providers cannot do."""

PROVIDERS = (
    Provider(
        name="tensorrt",
        ort_name="TensorrtExecutionProvider",
        remedy="install TensorRT 10 and onnxruntime-gpu (after pip uninstall onnxruntime)",
        library="onnxruntime_providers_tensorrt",
        automatic=True,  # where an engine of the graph is built already
        memory="cuda",
        device_option="device_id",
        is_nvidia=True,
        static_shapes=True,
        compiled_form=CompiledForm.ENGINES,
        precisions=("bfloat16", "float16", "int8"),
        runs_unbuilt="cuda",
        export_target=True,
    ),
    Provider(
        name="cuda",
        ort_name="CUDAExecutionProvider",
        remedy=_CUDA_REMEDY,
        library="onnxruntime_providers_cuda",
        automatic=True,
        memory="cuda",
        device_option="device_id",
        is_nvidia=True,
        cuda_graph=True,
        export_target=True,
    ),
    Provider(
        name="tensorrt-rtx",
        ort_name="NvTensorRTRTXExecutionProvider",
        remedy="pip install onnxruntime-ep-nv-tensorrt-rtx, on a machine with an RTX GPU",
        plugin="onnxruntime_ep_nv_tensorrt_rtx",
        device_option="device_id",
        is_nvidia=True,
        static_shapes=True,
        compiled_form=CompiledForm.CONTEXT,
    ),
    Provider(
        name="migraphx",
        ort_name="MIGraphXExecutionProvider",
        remedy="install AMD's onnxruntime-migraphx",
        device_option="device_id",
        static_shapes=True,
        precisions=("bfloat16", "float16"),
    ),
    Provider(
        name="openvino",
        ort_name="OpenVINOExecutionProvider",
        remedy="pip install openvino",
        library="onnxruntime_providers_openvino",
        plugin="onnxruntime_ep_openvino",
        own_runtime="openvino",
        precisions=("bfloat16", "float16"),
        device_option="device_type",
        on_host=True,
        compiled_form=CompiledForm.CONTEXT,
    ),
    Provider(
        name="coreml",
        ort_name="CoreMLExecutionProvider",
        remedy="pip install onnxruntime, on macOS",
        on_host=True,
        static_shapes=True,
    ),
    Provider(
        name="directml",
        ort_name="DmlExecutionProvider",
        remedy="pip install onnxruntime-directml, on Windows",
        device_option="device_id",
    ),
    Provider(
        name="webgpu",
        ort_name="WebGpuExecutionProvider",
        remedy="pip install onnxruntime-ep-webgpu, on a machine with a GPU and, on Linux, its Vulkan driver",
        plugin="onnxruntime_ep_webgpu",
    ),
    CPU,
)
AUTO = "auto"
NAMES = (AUTO, *(provider.name for provider in PROVIDERS))
BUILDABLE = tuple(sorted(provider.name for provider in PROVIDERS if provider.compiled_form))
"""The names of the providers that ``ddim-edge build`` builds for."""

ON_NVIDIA = frozenset(provider.name for provider in PROVIDERS if provider.is_nvidia)
"""The names of the providers that run on NVIDIA's GPUs."""


def provider_named(name: str) -> Provider:
    """The row of a provider. Raises ProviderError, with the nearest name, for a name that is not in the table."""
    for provider in PROVIDERS:
        if provider.name == name:
            return provider
        if provider.ort_name == name:
            raise ProviderError(f"provider {name!r} is called {provider.name!r} here")
    if name == "gpu":
        makers = "cuda or tensorrt (NVIDIA), migraphx (AMD), openvino (Intel), directml (Windows), coreml (Apple)"
        raise ProviderError(f"provider 'gpu' is unknown: name one for your GPU, {makers}, or auto")
    raise ProviderError(choose_from("provider", name, NAMES))
