"""What OpenVINO's own runtime cannot do is refused: devices, precisions, memory and graphs."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ddim_edge
from ddim_edge.runtime.providers import openvino_module
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.sessions.openvino_graph import OpenVinoGraph

from .openvino_graphs import make_feeds, open_graph, save_graph

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("onnxruntime_ep_openvino") is not None, reason="the plugin takes the device"
    ),
]


@pytest.fixture
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "unet" / "model.onnx"


@pytest.mark.parametrize("which", ["GPU.7", "AUTO", "HETERO:CPU", "MULTI:CPU", "TPU", ""])
def test_a_device_that_is_not_there_or_chooses_one_is_refused(graph: Path, which: str) -> None:
    with pytest.raises(ddim_edge.ProviderError, match=rf"device of OpenVINO .* '{which}' is unknown\..*Valid: .*CPU"):
        ddim_edge.Session(graph, f"openvino:{which}")


@pytest.mark.parametrize("which", ["CPU", "cpu", "CPU.0"])
def test_a_device_is_named_as_openvino_does(graph: Path, which: str) -> None:
    assert open_graph(graph, f"openvino:{which}").device == "CPU"


@pytest.mark.parametrize(("on", "asked"), [("CPU", "GPU"), ("GPU.0", "GPU.1"), ("CPU", "NPU")])
def test_another_device_than_was_asked_for_is_an_error(on: str, asked: str) -> None:
    compiled = SimpleNamespace(get_property=lambda _name: [on])
    with pytest.raises(ddim_edge.ProviderError, match=f"runs on {on} in place of {asked}"):
        openvino_module.check_compiled(compiled, asked, "auto")


@pytest.mark.parametrize(("on", "asked"), [("CPU", "CPU"), ("GPU.0", "GPU"), ("GPU.1", "GPU.1")])
def test_the_device_that_was_asked_for_may_have_a_longer_name(on: str, asked: str) -> None:
    openvino_module.check_compiled(SimpleNamespace(get_property=lambda _name: [on]), asked, "auto")


def test_a_precision_that_the_device_does_not_have_is_an_error(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_module, "precisions", lambda _device: ("float32",))
    message = "openvino:CPU does not compute in bfloat16 on this machine: use --precision float32"
    with pytest.raises(ddim_edge.ProviderError, match=message):
        ddim_edge.Session(graph, Device("openvino", precision="bfloat16"))


def test_another_precision_than_was_asked_for_is_an_error() -> None:
    used = SimpleNamespace(get_type_name=lambda: "f32")
    answers = {"EXECUTION_DEVICES": ["CPU"], "INFERENCE_PRECISION_HINT": used}
    with pytest.raises(ddim_edge.ProviderError, match="does not compute in bfloat16"):
        openvino_module.check_compiled(SimpleNamespace(get_property=answers.get), "CPU", "bfloat16")


def test_its_options_are_openvino_s_properties_and_are_checked_early(graph: Path) -> None:
    assert open_graph(graph, options={"INFERENCE_NUM_THREADS": "1"})._properties["INFERENCE_NUM_THREADS"] == "1"
    with pytest.raises(ddim_edge.ProviderError, match="openvino option 'INFERENCE_PRECISION_HINT' is unknown"):
        Device("openvino", options={"INFERENCE_PRECISION_HINT": "bf16"})
    with pytest.raises(ddim_edge.ProviderError, match="refuses CPU: Wrong value") as caught:
        ddim_edge.Session(graph, Device("openvino", options={"ENABLE_CPU_PINNING": "perhaps"}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[GPU] clEnqueueNDRangeKernel, error code: -5 CL_OUT_OF_RESOURCES", "bad allocation"])
def test_too_little_memory_is_an_error_of_its_own(graph: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError(f"Exception from src/inference/src/cpp/infer_request.cpp:224:\n{text}\n")

    session = ddim_edge.Session(graph, "openvino")
    monkeypatch.setattr(OpenVinoGraph, "_form", fail)
    with pytest.raises(ddim_edge.DeviceMemoryError, match=f"^unet failed on openvino: {re.escape(text)}$"):
        session.run(make_feeds())


def test_a_graph_that_openvino_cannot_read_says_why_in_one_line(tmp_path: Path) -> None:
    text = "g (float[n] x) => (float[n] y) { y = NoSuchOperator(x) }"
    with pytest.raises(ddim_edge.ProviderError, match=r"cannot read .*NoSuchOperator.*Remedy: --provider cpu") as no:
        ddim_edge.Session(save_graph(tmp_path, text), "openvino")
    assert "\n" not in str(no.value)


def test_a_file_that_is_no_graph_is_a_bundle_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"<net name='an IR of OpenVINO'/>")
    with pytest.raises(ddim_edge.BundleError, match="is not an ONNX graph"):
        ddim_edge.Session(tmp_path / "model.onnx", "openvino")
