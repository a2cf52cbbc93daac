"""The options of each provider by ONNX Runtime's names: the valid ones, and those that are set here, with reasons.

The names were read from the libraries of onnxruntime-gpu 1.31.1, onnxruntime 1.32.0 (Core ML), onnxruntime-openvino
1.24.1, onnxruntime-directml 1.24.4, onnxruntime-migraphx 1.27.1, and of the plugins onnxruntime-ep-openvino 1.8.1,
onnxruntime-ep-nv-tensorrt-rtx 0.5.0 and onnxruntime-ep-webgpu 0.4.0. Options that are addresses in the process's memory
are left out: a command line cannot give one, and a wrong one crashes the process.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import ConfigError, ProviderError, choose_from, shown
from .table import provider_named

_CUDA = """
    arena_extend_strategy cudnn_conv1d_pad_to_nc1d cudnn_conv_algo_search cudnn_conv_use_max_workspace
    do_copy_in_default_stream enable_cuda_graph enable_cudnn enable_skip_layer_norm_strict_mode
    external_data_loader_reading_threads fuse_conv_bias gpu_mem_limit prefer_nhwc sdpa_kernel tunable_op_enable
    tunable_op_max_tuning_duration_ms tunable_op_tuning_enable use_ep_level_unified_stream use_tf32
"""
_TENSORRT = """
    trt_auxiliary_streams trt_bf16_enable trt_build_heuristics_enable trt_builder_optimization_level
    trt_context_memory_sharing_enable trt_cuda_graph_enable trt_detailed_build_log trt_dla_core trt_dla_enable
    trt_dump_ep_context_model trt_dump_subgraphs trt_engine_cache_enable trt_engine_cache_path trt_engine_cache_prefix
    trt_engine_decryption_enable trt_engine_decryption_lib_path trt_engine_hw_compatible trt_ep_context_embed_mode
    trt_ep_context_file_path trt_extra_plugin_lib_paths trt_force_sequential_engine_build trt_force_timing_cache
    trt_fp16_enable trt_int8_calibration_table_name trt_int8_enable trt_int8_use_native_calibration_table
    trt_layer_norm_fp32_fallback trt_max_partition_iterations trt_max_workspace_size trt_min_subgraph_size
    trt_onnx_model_folder_path trt_op_types_to_exclude trt_preview_features trt_profile_max_shapes
    trt_profile_min_shapes trt_profile_opt_shapes trt_sparsity_enable trt_tactic_sources trt_timing_cache_enable
    trt_timing_cache_path trt_weight_stripped_engine_enable
"""
_TENSORRT_RTX = """
    enable_cuda_graph nv_detailed_build_log nv_dump_subgraphs nv_enable_profiling nv_max_shared_mem_size
    nv_max_workspace_size nv_multi_profile_enable nv_multi_rotary_cache_concat_offset nv_op_types_to_exclude
    nv_persistent_context_memory nv_profile_max_shapes nv_profile_min_shapes nv_profile_opt_shapes
    nv_profiling_output_file nv_runtime_cache_path nv_target_sm nv_use_external_data_initializer
    nv_use_sync_gpu_allocator nv_weight_streaming_budget nv_weight_stripped_engine_enable_experimental
"""
_OPENVINO = """
    cache_dir device_luid disable_dynamic_shapes enable_causallm enable_opencl_throttling enable_qdq_optimizer layout
    load_config model_priority num_of_threads num_streams precision reshape_input
"""
# Of the other names above the plugin reports: "ignored, please set it via the load_config".
_OPENVINO_PLUGIN = "enable_causallm hint_enable_gqa load_config reshape_input"
# OpenVINO's own runtime takes its properties by name. --precision and --provider openvino:DEVICE set the others.
_OPENVINO_OWN = """
    CACHE_DIR CPU_DENORMALS_OPTIMIZATION DYNAMIC_QUANTIZATION_GROUP_SIZE ENABLE_CPU_PINNING ENABLE_HYPER_THREADING
    GPU_QUEUE_PRIORITY GPU_QUEUE_THROTTLE INFERENCE_NUM_THREADS MODEL_PRIORITY NPU_COMPILATION_MODE_PARAMS NPU_TURBO
    SCHEDULING_CORE_TYPE
"""
_COREML = """
    AllowLowPrecisionAccumulationOnGPU EnableOnSubgraphs MLComputeUnits ModelCacheDirectory ModelFormat
    ProfileComputePlan RequireStaticInputShapes SpecializationStrategy
"""
_DIRECTML = "device_filter disable_metacommands performance_preference"
_MIGRAPHX = """
    migraphx_arena_extend_strategy migraphx_bf16_enable migraphx_exhaustive_tune migraphx_fp16_enable
    migraphx_fp8_enable migraphx_int8_calibration_table_name migraphx_int8_enable
    migraphx_int8_use_native_calibration_table migraphx_mem_limit migraphx_model_cache_dir
"""
_WEBGPU = """
    dawnBackendType defaultBufferCacheMode deviceId enableGraphCapture enableInt64 enablePIXCapture enableRobustness
    forceCpuNodeNames kvCacheQuantizationBits maxNumPendingDispatches maxStorageBufferBindingSize
    multiRotaryCacheConcatOffset powerPreference preferredLayout preserveDevice queryResolveBufferCacheMode
    sessionBufferPoolGenerations storageBufferCacheMode uniformBufferCacheMode validationMode
"""

KEYS: Mapping[str, frozenset[str]] = {
    "cpu": frozenset(),
    "cuda": frozenset(_CUDA.split()),
    "tensorrt": frozenset(_TENSORRT.split()),
    "tensorrt-rtx": frozenset(_TENSORRT_RTX.split()),
    "openvino": frozenset(_OPENVINO.split()),
    "coreml": frozenset(_COREML.split()),
    "directml": frozenset(_DIRECTML.split()),
    "migraphx": frozenset(_MIGRAPHX.split()),
    "webgpu": frozenset(_WEBGPU.split()),
}
"""Each provider's options."""

PLUGIN_KEYS: Mapping[str, frozenset[str]] = {**KEYS, "openvino": frozenset(_OPENVINO_PLUGIN.split())}
"""Each provider's options where a plugin brings the provider."""

OWN_KEYS: Mapping[str, frozenset[str]] = {"openvino": frozenset(_OPENVINO_OWN.split())}
"""Each provider's options where its own runtime runs the graphs."""

# The device is chosen by --provider NAME:DEVICE alone, because buffers must be on the same one.
_CHOOSES_DEVICE = ("device_id", "device_type")
_THREADS = ("external_data_loader_reading_threads", "num_of_threads", "INFERENCE_NUM_THREADS")
_ONLY_FOR_A_RUN = """
    trt_context_memory_sharing_enable trt_cuda_graph_enable trt_detailed_build_log trt_dump_subgraphs
    enable_cuda_graph nv_detailed_build_log nv_dump_subgraphs nv_enable_profiling nv_persistent_context_memory
    nv_profiling_output_file nv_use_sync_gpu_allocator
"""
"""Options that change nothing of what is compiled."""
_RUNTIME_CACHE = "runtime"
"""The folder in which TensorRT for RTX keeps the kernels that it compiles when they are needed."""


def parse_options(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``key=value`` pairs. Raises ConfigError for anything else, and for a key that is given twice."""
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise ConfigError(f"provider option {shown(pair)} is no key=value pair, such as gpu_mem_limit=4294967296")
        if key in options:
            raise ConfigError(f"provider option {shown(key)} is given twice: leave one out")
        options[key] = value
    return options


def check_options(
    provider_name: str, given: Mapping[str, str], *, plugin: bool = False, own_runtime: bool = False
) -> None:
    """Raise ProviderError for an option that the provider does not take; its ``plugin``, or its ``own_runtime``.

    Not every provider refuses unknown options itself: the OpenVINO plugin ignores them without a warning.
    """
    valid = (OWN_KEYS if own_runtime else PLUGIN_KEYS if plugin else KEYS).get(provider_name, frozenset())
    has_devices = provider_named(provider_name).device_option is not None
    for key in given:
        if has_devices and key in _CHOOSES_DEVICE:
            raise ProviderError(f"option {shown(key)}: choose the device by --provider {provider_name}:{given[key]}")
        if not valid:
            raise ProviderError(f"provider {provider_name!r} takes no options: leave {shown(key)} out")
        if key not in valid:
            raise ProviderError(choose_from(f"{provider_name} option", key, sorted(valid)))
        _check_threads(key, given[key])


def _check_threads(key: str, value: str) -> None:
    """Raise ProviderError for more threads than there are processors: tens of thousands stop the machine."""
    most = os.cpu_count() or 1
    if key in _THREADS and value.isdecimal() and int(value[:18]) > most:
        raise ProviderError(f"{key}={shown(value)} is too much: there are {most} processors")


def defaults(
    provider_name: str, *, each_step: bool, plugin: bool = False, precision: str = "float32"
) -> dict[str, str]:
    """The options that are set by default; options of the user override them.

    ``each_step``: whether the network is called at every step, like a UNet, and not once per image, like a VAE.
    ``precision``: what float32 graphs may be computed in.
    """
    match provider_name:
        case "cuda":
            return _cuda(each_step=each_step)
        case "tensorrt":
            return _tensorrt()
        case "openvino":
            return _load_config(precision) if plugin else _openvino(precision)
        case "migraphx":
            return _migraphx(precision)
    return {}


def compile_time_options(options: Mapping[str, str]) -> dict[str, str]:
    """The options that change what is compiled. The others may differ between the build and each run."""
    return {key: value for key, value in options.items() if key not in _ONLY_FOR_A_RUN.split()}


def compile_options(
    provider_name: str,
    folder: Path,
    *,
    precision: str | None,
    shapes: Mapping[str, tuple[int, ...]],
    workspace: int | None,
) -> dict[str, str]:
    """The options to compile with into ``folder``, and to run with what was compiled.

    ``precision``: fp32, bf16, fp16, int8 or auto; None where the graph's types decide. ``shapes``: of the inputs, by
    name. ``workspace``: the most bytes of GPU memory that the compiler may try kernels with; None for its default.
    """
    match provider_name:
        case "tensorrt":
            return {**_tensorrt_engines(folder, precision), **_profile("trt", shapes, workspace)}
        case "tensorrt-rtx":
            return {"nv_runtime_cache_path": str(folder / _RUNTIME_CACHE), **_profile("nv", shapes, workspace)}
    return {}


def _cuda(*, each_step: bool) -> dict[str, str]:
    return {
        # By default ONNX Runtime doubles its arena whenever it grows, and takes up to twice the memory needed.
        "arena_extend_strategy": "kSameAsRequested",
        # EXHAUSTIVE times all algorithms of every convolution at the first call: worth it for fifty steps, not for one.
        "cudnn_conv_algo_search": "EXHAUSTIVE" if each_step else "HEURISTIC",
        # With 0 cuDNN has 32 MB per convolution, too little for its tensor-core algorithms in fp16.
        "cudnn_conv_use_max_workspace": "1",
        # TF32 keeps 10 of float32's 23 bits in matrix products; a seed should give the same image on every device.
        "use_tf32": "0",
        # Not measured: tensor cores need this layout, and ONNX Runtime transposes where it has no kernel for it.
        "prefer_nhwc": "0",
    }


def _tensorrt() -> dict[str, str]:
    # ONNX Runtime's Python binding takes "True" and "False" for TensorRT, and "1" and "0" for CUDA.
    return {
        # A graph of several engines then needs the scratch memory of the largest one, not of all together.
        "trt_context_memory_sharing_enable": "True",
        # Squares and sums in a normalisation overflow fp16, which makes the image black.
        "trt_layer_norm_fp32_fallback": "True",
    }


def _tensorrt_engines(folder: Path, precision: str | None) -> dict[str, str]:
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": str(precision in ("fp16", "int8", "auto")),
        **({"trt_bf16_enable": "True"} if precision in ("bf16", "auto") else {}),
        "trt_int8_enable": str(precision == "int8"),
    }


def _profile(prefix: str, shapes: Mapping[str, tuple[int, ...]], workspace: int | None) -> dict[str, str]:
    text = ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())
    options = {f"{prefix}_profile_{end}_shapes": text for end in ("min", "opt", "max")} if text else {}
    return options | ({f"{prefix}_max_workspace_size": str(workspace)} if workspace else {})


def _openvino(precision: str) -> dict[str, str]:
    # By default OpenVINO computes float32 graphs in bf16 or fp16 on hardware that supports it.
    known = {"float32": "ACCURACY", "float16": "FP16"}
    return {"precision": known[precision]} if precision in known else _load_config(precision)


def _load_config(precision: str) -> dict[str, str]:
    hints = {
        "float32": '{"EXECUTION_MODE_HINT": "ACCURACY"}',
        "bfloat16": '{"INFERENCE_PRECISION_HINT": "bf16"}',
        "float16": '{"INFERENCE_PRECISION_HINT": "f16"}',
    }
    hint = hints.get(precision)
    return {} if hint is None else {"load_config": f'{{"CPU": {hint}, "GPU": {hint}}}'}


def _migraphx(precision: str) -> dict[str, str]:
    return {"bfloat16": {"migraphx_bf16_enable": "1"}, "float16": {"migraphx_fp16_enable": "1"}}.get(precision, {})
