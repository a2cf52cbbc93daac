"""What is compiled of a bundle, and for which shapes."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest

from ddim_edge.build import plan as build_plan
from ddim_edge.build.plan import BuildRequest, plan
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import BundleError, ConfigError, ProviderError
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.providers.table import PROVIDERS
from tests.helpers.tiny_bundles import tiny_model

EMOJI = Path(__file__).parents[2] / "models" / "emoji"
GPU = Machine("NVIDIA RTX A2000 8.6", "570.86.10", "1.32.0", "TensorRT 10.9.0")


@pytest.fixture(autouse=True)
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_plan, "_check_loads", lambda _device: None)
    monkeypatch.setattr(Machine, "of", lambda _provider, _which=None: GPU)


def _shapes(bundle: Path | str, **wanted: Any) -> dict[str, list[Mapping[str, tuple[int, ...]]]]:
    found: dict[str, list[Mapping[str, tuple[int, ...]]]] = {}
    for recipe in plan(open_bundle(bundle), Device("tensorrt"), BuildRequest(**wanted)):
        found.setdefault(recipe.component, []).append(recipe.shapes)
    return found


def _rows(bundle: Path | str, **wanted: Any) -> list[int]:
    return [shapes["sample"][0] for shapes in _shapes(bundle, **wanted)["unet"]]


def _write(path: Path, text: str, dimensions: Mapping[str, Mapping[int, str]]) -> None:
    """A graph whose inputs have ``dimensions``, by position, that ONNX's text cannot name."""
    model = onnx.parser.parse_model(text)
    for value in model.graph.input:
        for position, name in dimensions.get(value.name, {}).items():
            value.type.tensor_type.shape.dim[position].dim_param = name
    path.parent.mkdir(exist_ok=True)
    onnx.save_model(model, path)


def test_a_guided_image_has_two_rows(tiny_bundle: Path, plain_bundle: Path) -> None:
    assert _rows(tiny_bundle) == [1, 2]
    assert _rows(tiny_bundle, batches=(4, 1, 2)) == [1, 2, 4, 8]
    assert _rows(tiny_bundle, batches=(1, 3), guided=False) == [1, 3]
    assert _rows(plain_bundle, batches=(1, 4)) == [1, 4]


def test_only_the_axes_that_are_free_are_said() -> None:
    assert _shapes("fashion-mnist", guided=False)["unet"] == [
        {"sample": (1, 1, 28, 28), "timestep": (1,), "class_labels": (1,)}
    ]


def test_a_bundle_of_latents_and_text() -> None:
    assert _shapes(EMOJI, batches=(2,), height=64, width=32) == {
        "unet": [
            {"sample": (rows, 24, 8, 4), "timestep": (rows,), "encoder_hidden_states": (rows, 24, 128)}
            for rows in (2, 4)
        ],
        "vae_decoder": [{"latent_sample": (1, 24, 8, 4)}],
        "vae_encoder": [{"sample": (1, 3, 64, 32)}],
        "text_encoder": [{"input_ids": (1, 24)}],
    }


def test_a_graph_for_any_shape_is_compiled_once() -> None:
    recipes = plan(open_bundle(EMOJI), Device("cpu"), BuildRequest())
    assert [recipe.component for recipe in recipes] == ["unet", "vae_decoder", "vae_encoder", "text_encoder"]
    assert [dict(recipe.shapes) for recipe in recipes] == [{}] * 4
    assert [recipe.precision for recipe in recipes] == [None] * 4


def test_the_fused_step_is_in_the_place_of_the_unet(new_bundle: Callable[..., Path]) -> None:
    bundle = new_bundle()
    text = """<ir_version: 10, opset_import: ["" : 18]>
        step (float[images, 1, h, w] sample, int64[batch] timestep, int64[batch] class_labels,
              float[images, 8] step_coefficients, float[images, 1, h, w] noise) => (float[images, 1, h, w] y)
        { y = Add(sample, noise) }"""
    names = {2: "height", 3: "width"}
    _write(bundle / "unet" / "unet_step.onnx", text, {"sample": names, "noise": names})
    found = _shapes(bundle, batches=(1, 3))
    assert list(found) == ["unet_step"]
    assert found["unet_step"] == [
        {
            "sample": (images, 1, 8, 8),
            "timestep": (rows,),
            "class_labels": (rows,),
            "step_coefficients": (images, 8),
            "noise": (images, 1, 8, 8),
        }
        for images, rows in ((1, 1), (1, 2), (3, 3), (3, 6))
    ]


def test_axes_that_follow_from_the_samples(new_bundle: Callable[..., Path]) -> None:
    bundle = new_bundle(sample_size=9)
    text = """<ir_version: 10, opset_import: ["" : 18]>
        unet (float[n, 1, h, w] sample, int64 timestep, float[n, 4, a, b] down_block_additional_residuals_0,
              float[n, 3, c, d] controlnet_cond) => (float[n, 1, h, w] y) { y = Identity(sample) }"""
    level, control = {2: "height/2", 3: "width/4"}, {2: "height*8", 3: "width*8"}
    _write(
        bundle / "unet" / "model.onnx", text, {"down_block_additional_residuals_0": level, "controlnet_cond": control}
    )
    assert _shapes(bundle, guided=False)["unet"] == [
        {
            "sample": (1, 1, 9, 9),
            "down_block_additional_residuals_0": (1, 4, 5, 3),
            "controlnet_cond": (1, 3, 72, 72),
        }
    ]


def test_an_axis_that_nobody_knows_is_named(new_bundle: Callable[..., Path]) -> None:
    bundle = new_bundle()
    text = """<ir_version: 10, opset_import: ["" : 18]>
        unet (float[n, 1, 8, 8] sample, float[n, what] more) => (float[n, 1, 8, 8] y) { y = Identity(sample) }"""
    _write(bundle / "unet" / "model.onnx", text, {})
    with pytest.raises(BundleError, match="the length of the axis 'what' of more is unknown"):
        _shapes(bundle)


@pytest.mark.parametrize(
    ("given", "whole", "half"),
    [
        ("float32", "fp32", "fp16"),
        ("fp32", "fp32", "fp16"),
        ("fp16", "fp16", "fp16"),
        ("bfloat16", "bf16", "bf16"),
        ("auto", "auto", "auto"),
    ],
)
def test_the_precision_says_what_a_float32_graph_computes_in(
    new_bundle: Callable[..., Path], tiny_bundle: Path, given: str, whole: str, half: str
) -> None:
    device = Device("tensorrt", precision=given)
    for folder, precision in ((tiny_bundle, whole), (new_bundle(tiny_model(half=True)), half)):
        assert {recipe.precision for recipe in plan(open_bundle(folder), device, BuildRequest())} == {precision}


def test_a_plan_has_the_precision_the_workspace_and_the_machine() -> None:
    (recipe, *_) = plan(open_bundle("fashion-mnist"), Device("tensorrt"), BuildRequest(workspace=2**20))
    assert (recipe.precision, recipe.workspace, recipe.machine) == ("fp32", 2**20, GPU)


@pytest.mark.parametrize(
    ("provider", "wanted", "words"),
    [
        ("cuda", BuildRequest(), "nothing is built for cuda, which runs without"),
        ("auto", BuildRequest(), "provider to build for 'auto' is unknown"),
        ("cpu", BuildRequest(batches=(1,)), "--batch does not apply to cpu, whose graphs take any shape"),
        ("openvino", BuildRequest(width=64), "--width does not apply to openvino"),
        ("cpu", BuildRequest(guided=False), "--no-guidance does not apply to cpu"),
        ("cpu", BuildRequest(workspace=1), "--workspace does not apply to cpu"),
        ("tensorrt", BuildRequest(batches=(1, 0)), "--batch must be 1 or more, for instance 1,2,4, not 0"),
        ("tensorrt", BuildRequest(workspace=0), "--workspace must be 1 MB or more"),
        ("tensorrt", BuildRequest(height=30), "height 30 is not a multiple of 4"),
    ],
)
def test_what_means_nothing_is_refused(provider: str, wanted: BuildRequest, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(open_bundle("fashion-mnist"), Device(provider), wanted)
    assert words in str(caught.value)


def test_int8_needs_the_scales_in_the_graph() -> None:
    message = "unet is not quantized, and int8 takes the scales from a graph's QuantizeLinear nodes"
    with pytest.raises(ConfigError, match=message):
        plan(open_bundle("fashion-mnist"), Device("tensorrt", precision="int8"), BuildRequest())


def test_a_provider_that_does_not_load_fails_first(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    monkeypatch.undo()
    bundle = open_bundle(tiny_bundle)
    with pytest.raises(ProviderError, match="provider 'tensorrt' is not in the installed onnxruntime"):
        plan(bundle, Device("tensorrt"), BuildRequest())
    tensorrt = next(row for row in PROVIDERS if row.name == "tensorrt")
    monkeypatch.setattr(Device, "candidates", lambda _self: iter([tensorrt]))
    monkeypatch.setattr(
        build_plan, "library_fault", lambda _library: "libnvinfer.so.10: cannot open shared object file"
    )
    with pytest.raises(
        ProviderError, match=r"provider 'tensorrt' did not load: libnvinfer.so.10: cannot open .*Remedy"
    ):
        plan(bundle, Device("tensorrt"), BuildRequest())


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_nothing_is_built_for_openvino_s_own_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="nothing is built for openvino's own runtime, which compiles a graph when"):
        plan(open_bundle("fashion-mnist"), Device("openvino"), BuildRequest())
