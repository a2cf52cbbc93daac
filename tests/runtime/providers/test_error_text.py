"""ONNX Runtime's messages, as its providers gave them, and what is left of them."""

import pytest

from ddim_edge.runtime.providers.error_text import first_error_line, refused_option

_CUDA = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc:63 static onnxruntime::"
    "CUDAExecutionProviderInfo onnxruntime::CUDAExecutionProviderInfo::FromProviderOptions(const onnxruntime::"
    "ProviderOptions&) [ONNXRuntimeError] : 1 : FAIL : provider_options_utils.h:187 Parse Failed to parse provider "
)
_TENSORRT = (
    "/onnxruntime_src/onnxruntime/python/onnxruntime_pybind_state.cc:949 std::shared_ptr<onnxruntime::"
    "IExecutionProviderFactory> onnxruntime::python::CreateExecutionProviderFactoryInstance(const onnxruntime::"
    "SessionOptions&, const std::string&, const onnxruntime::ProviderOptionsMap&) "
)
_PLUGIN = (
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : /onnxruntime_src/onnxruntime/core/session/plugin_ep/"
    "ep_plugin_provider_interfaces.cc:393 virtual std::unique_ptr<onnxruntime::IExecutionProvider> onnxruntime::"
    "PluginExecutionProviderFactory::CreateProvider(const OrtSessionOptions&, const OrtLogger&) [ONNXRuntimeError] : "
    "2 : INVALID_ARGUMENT : "
)


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (
            "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from m.onnx failed:Protobuf parsing failed.",
            "Load model from m.onnx failed:Protobuf parsing failed.",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : This session cannot use the graph capture feature as requested",
            "This session cannot use the graph capture feature as requested",
        ),
        (
            "[ONNXRuntimeError] : 11 : EP_FAIL : Exception from src/inference/src/cpp/core.cpp:117:\n"
            "Exception from src/inference/src/dev/plugin.cpp:54:\n"
            "NotFound: Unsupported property NONSENSE by CPU plugin.\n\n\n",
            "NotFound: Unsupported property NONSENSE by CPU plugin.",
        ),
        (
            "[ONNXRuntimeError] : 11 : EP_FAIL : Check 'false' failed at src/unconverted_ops_report.cpp:151:\n"
            "FrontEnd API failed with OpConversionFailure:\n"
            "OpenVINO does not support the following ONNX operations: Attention\n",
            "OpenVINO does not support the following ONNX operations: Attention",
        ),
        ("[ONNXRuntimeError] : 1 : FAIL : Node x failed:", "Node x failed:"),
        ("CUDA failure 2: out of memory ; GPU=0\nmore", "CUDA failure 2: out of memory ; GPU=0"),
        ("", "RuntimeError"),
        ("In node " + "x" * 5000 + ": bad", "In node " + "x" * 292 + " … " + "x" * 145 + ": bad"),
    ],
)
def test_what_is_left(message: str, left: str) -> None:
    assert first_error_line(RuntimeError(message)) == left


@pytest.mark.parametrize(
    ("message", "key", "value", "told"),
    [
        (
            _CUDA + 'option "device_id": cuda_execution_provider_info.cc:71 operator() Invalid device ID: 3, must be '
            "between 0 (inclusive) and 1 (exclusive).\n",
            "device_id",
            "3",
            "Invalid device ID: 3, must be between 0 (inclusive) and 1 (exclusive).",
        ),
        (
            _CUDA
            + 'option "cudnn_conv_algo_search": provider_options_utils.h:56 NameToEnum Failed to map enum name to '
            "value: FAST\n",
            "cudnn_conv_algo_search",
            "FAST",
            "Failed to map enum name to value: FAST",
        ),
        (
            _TENSORRT
            + "[ERROR] [TensorRT] The value for the key 'trt_fp16_enable' should be 'True' or 'False'. Default "
            "value is 'False'.\n\n",
            "trt_fp16_enable",
            "1",
            "[TensorRT] The value for the key 'trt_fp16_enable' should be 'True' or 'False'. Default value is 'False'.",
        ),
        (
            _PLUGIN + "Invalid boolean value 'maybe' for option 'enable_causallm'. Valid values are: 'true', 'false'\n",
            "enable_causallm",
            "maybe",
            "Invalid boolean value 'maybe' for option 'enable_causallm'. Valid values are: 'true', 'false'",
        ),
        (
            _PLUGIN + "reshape_input parameter: Invalid input shape definition format: bad\n",
            "reshape_input",
            "bad",
            "reshape_input parameter: Invalid input shape definition format: bad",
        ),
    ],
)
def test_a_value_that_is_not_taken(message: str, key: str, value: str, told: str) -> None:
    error = refused_option(RuntimeError(message), "cuda", {"other": "1", key: value})
    assert str(error) == f"cuda does not take {key}={value}: {told}"
    assert refused_option(RuntimeError(message), "cuda", {"other": "1"}) is None


def test_another_error_is_no_refusal() -> None:
    assert refused_option(RuntimeError("out of memory"), "cuda", {"use_tf32": "1"}) is None
