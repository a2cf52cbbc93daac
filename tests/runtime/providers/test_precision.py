"""--precision: one meaning for every provider, old words, and an error where a provider cannot be told."""

from pathlib import Path

import pytest

import ddim_edge
from ddim_edge.errors import ConfigError, ProviderError
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.providers.options import check_options, defaults
from ddim_edge.runtime.providers.table import PROVIDERS


@pytest.mark.parametrize(
    ("given", "name"),
    [("float32", "float32"), ("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16"), ("int8", "int8")],
)
def test_the_short_words_mean_the_same(given: str, name: str) -> None:
    assert Device("tensorrt", precision=given).precision == name


def test_an_unknown_precision_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"precision 'bfloat61' is unknown\. Did you mean 'bfloat16'"):
        Device("openvino", precision="bfloat61")


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "int8"])
def test_a_provider_is_told_or_the_error_names_those_that_can_be(row: object, precision: str) -> None:
    name = row.name  # type: ignore[attr-defined]
    told = {"tensorrt": ("bfloat16", "float16", "int8"), "openvino": ("bfloat16", "float16")}
    told["migraphx"] = told["openvino"]
    if precision in told.get(name, ()):
        assert Device(name, precision=precision).computes_in == precision
        return
    with pytest.raises(ProviderError, match=f"{name} computes in .*, not in {precision}: use") as no:
        Device(name, precision=precision)
    assert "use --provider tensorrt" in str(no.value)
    assert "\n" not in str(no.value)


def test_where_a_provider_has_no_choice_the_image_is_that_of_float32() -> None:
    assert Device("cpu", precision="auto").computes_in == "float32"
    assert Device("openvino", precision="auto").computes_in == "auto"
    assert Device("openvino").computes_in == "float32"


@pytest.mark.parametrize(
    ("provider", "plugin", "precision", "wanted"),
    [
        ("openvino", True, "float32", "EXECUTION_MODE_HINT"),
        ("openvino", True, "bfloat16", '"INFERENCE_PRECISION_HINT": "bf16"'),
        ("openvino", True, "float16", '"INFERENCE_PRECISION_HINT": "f16"'),
        ("openvino", False, "float32", "'precision': 'ACCURACY'"),
        ("openvino", False, "float16", "'precision': 'FP16'"),
        ("migraphx", False, "bfloat16", "'migraphx_bf16_enable': '1'"),
        ("migraphx", False, "float16", "'migraphx_fp16_enable': '1'"),
    ],
)
def test_the_provider_s_own_option_says_it(provider: str, plugin: bool, precision: str, wanted: str) -> None:
    options = defaults(provider, each_step=True, plugin=plugin, precision=precision)
    check_options(provider, options, plugin=plugin)
    assert wanted in str(options)


@pytest.mark.parametrize("plugin", [True, False])
def test_auto_leaves_the_choice_to_the_provider(plugin: bool) -> None:
    for provider in ("openvino", "migraphx"):
        assert defaults(provider, each_step=True, plugin=plugin, precision="auto") == {}


def test_load_takes_it(tiny_bundle: Path) -> None:
    assert ddim_edge.load(tiny_bundle, "cpu").precision == "float32"
    with pytest.raises(ProviderError, match="cpu computes in the types of the graph"):
        ddim_edge.load(tiny_bundle, "cpu", precision="bfloat16")
