"""The options that are let through are those that ONNX Runtime's providers take, and no others."""

import importlib.metadata
from pathlib import Path

import onnx
import onnx.parser
import pytest

from ddim_edge.errors import ConfigError, ProviderError
from ddim_edge.runtime.providers.onnxruntime_module import load_cuda_libraries, runtime, silence_logging
from ddim_edge.runtime.providers.options import KEYS, PLUGIN_KEYS, check_options, defaults, parse_options

from .option_keys import GOLDEN, libraries, not_found

_RELU = """
    <ir_version: 10, opset_import: ["" : 17]>
    relu (float[n] x) => (float[n] y) { y = Relu(x) }
"""
# What ONNX Runtime takes and does not list.
_UNLISTED = {"enable_skip_layer_norm_strict_mode"}


@pytest.mark.parametrize("provider", GOLDEN)
def test_the_table_is_what_was_read_out_of_the_library(provider: str) -> None:
    name, _, plugin = provider.partition(" ")
    table = (PLUGIN_KEYS if plugin else KEYS)[name]
    assert table == set(GOLDEN[provider]["keys"]) - set(GOLDEN[provider]["left out"])


def test_no_provider_is_without_a_list() -> None:
    assert KEYS.keys() - {"cpu"} == {provider.split()[0] for provider in GOLDEN}


@pytest.mark.parametrize("provider", GOLDEN)
def test_the_installed_library_still_holds_the_names(provider: str) -> None:
    found = list(libraries(provider))
    if not found:
        pytest.skip(f"{GOLDEN[provider]['package']} is not installed")
    assert not_found(provider, b"".join(path.read_bytes() for path in found)) == []


@pytest.mark.gpu
@pytest.mark.parametrize("each_step", [True, False])
def test_cuda_takes_our_options_and_lists_those_of_the_table(tmp_path: Path, each_step: bool) -> None:
    silence_logging()
    if "CUDAExecutionProvider" not in runtime().get_available_providers():
        pytest.skip("onnxruntime-gpu is not installed")
    load_cuda_libraries()
    onnx.save(onnx.parser.parse_model(_RELU), tmp_path / "relu.onnx")
    ours = defaults("cuda", each_step=each_step)
    session = runtime().InferenceSession(tmp_path / "relu.onnx", providers=[("CUDAExecutionProvider", ours)])
    listed = session.get_provider_options()["CUDAExecutionProvider"]
    assert ours.items() <= listed.items()
    if importlib.metadata.version("onnxruntime-gpu") == GOLDEN["cuda"]["version"]:
        assert listed.keys() | _UNLISTED == set(GOLDEN["cuda"]["keys"])


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("plugin", [True, False])
@pytest.mark.parametrize("each_step", [True, False])
def test_our_own_options_are_valid(name: str, plugin: bool, each_step: bool) -> None:
    check_options(name, defaults(name, each_step=each_step, plugin=plugin), plugin=plugin)


def test_a_search_of_all_algorithms_is_only_for_what_is_called_at_every_step() -> None:
    assert defaults("cuda", each_step=True)["cudnn_conv_algo_search"] == "EXHAUSTIVE"
    assert defaults("cuda", each_step=False)["cudnn_conv_algo_search"] == "HEURISTIC"


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        (
            "cuda",
            "cudnn_conv_algo_serch",
            r"cuda option 'cudnn_conv_algo_serch' is unknown\. Did you mean 'cudnn_conv_a",
        ),
        ("cuda", "trt_fp16_enable", r"cuda option 'trt_fp16_enable' is unknown\."),
        ("cuda", "device_id", r"choose the device by --provider cuda:1"),
        ("cuda", "user_compute_stream", r"is unknown"),
        ("cpu", "arena_extend_strategy", r"provider 'cpu' takes no options: leave 'arena_extend_strategy' out"),
    ],
)
def test_another_option_is_refused(name: str, key: str, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        check_options(name, {key: "1"})


def test_more_threads_than_processors_are_refused() -> None:
    check_options("openvino", {"num_of_threads": "1"})
    for value in ("100000", "9" * 5000):
        with pytest.raises(ProviderError, match=r"num_of_threads=.* is too much: there are \d+ processors"):
            check_options("openvino", {"num_of_threads": value})


def test_the_openvino_plugin_would_pass_over_the_options_of_the_package() -> None:
    check_options("openvino", {"precision": "FP16"})
    with pytest.raises(ProviderError, match="Valid: enable_causallm, hint_enable_gqa, load_config, reshape_input"):
        check_options("openvino", {"precision": "FP16"}, plugin=True)


def test_pairs_are_read() -> None:
    assert parse_options([]) == {}
    pairs = ["gpu_mem_limit=4294967296", "trt_profile_min_shapes=sample:1x4x64x64", "load_config={'a'='b'}", "x="]
    assert parse_options(pairs) == {
        "gpu_mem_limit": "4294967296",
        "trt_profile_min_shapes": "sample:1x4x64x64",
        "load_config": "{'a'='b'}",
        "x": "",
    }


@pytest.mark.parametrize("pairs", [["use_tf32"], ["=1"], [""], ["use_tf32=1", "use_tf32=0"]])
def test_what_is_no_pair_is_refused(pairs: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"no key=value pair|given twice"):
        parse_options(pairs)
