"""Which execution providers there are, and which of them to run on.

ONNX Runtime only warns when a provider cannot load, and goes on without it. Here a provider that was named either runs
or raises ProviderError with the reason and the remedy.
"""

from dataclasses import dataclass

from . import plugins


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
