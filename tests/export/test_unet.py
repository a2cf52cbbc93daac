"""export_unet: any module, unchanged afterwards; a bundle that is verified, whole or not there."""

import hashlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxscript import ir

import ddim_edge_export.component
import ddim_edge_export.graph.passes
from ddim_edge.bundle.format import format_keys
from ddim_edge.errors import ConfigError, ExportError
from ddim_edge_export import export_unet

from .conftest import TinyNetwork

pytestmark = pytest.mark.slow  # nearly all of them export with PyTorch


def run(path: Path, inputs: dict[str, Any]) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["out_sample"], inputs)[0]


@pytest.mark.parametrize(
    "wrap",
    [lambda output: output, lambda output: (output, None), lambda output: SimpleNamespace(sample=output)],
    ids=["tensor", "tuple", "object"],
)
def test_any_module_with_the_signature(wrap: Callable[[torch.Tensor], Any], tmp_path: Path) -> None:
    module = TinyNetwork(wrap)
    stages: list[str] = []
    report = export_unet(module, module.config, tmp_path / "out", on_stage=stages.append)

    assert stages == ["export", "fit", "verify", "write"]
    assert report.path == tmp_path / "out"
    sample, timestep = np.ones((7, 2, 4, 6), np.float32), np.linspace(0, 999, 7, dtype=np.float32)
    expected = TinyNetwork().eval()(torch.from_numpy(sample), torch.from_numpy(timestep)).detach().numpy()
    got = run(tmp_path / "out/unet/model.onnx", {"sample": sample, "timestep": timestep})
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_the_graph_declares_what_the_design_says(tiny: TinyNetwork, tmp_path: Path) -> None:
    export_unet(tiny, tiny.config | {"_name_or_path": "/home/someone"}, tmp_path / "out")
    model = onnx.load(tmp_path / "out/unet/model.onnx")
    onnx.checker.check_model(model, full_check=True)
    declared = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in (*model.graph.input, *model.graph.output)
    }
    assert declared == {
        "sample": (onnx.TensorProto.FLOAT, ["batch", 2, "height", "width"]),
        "timestep": (onnx.TensorProto.FLOAT, ["batch"]),
        "out_sample": (onnx.TensorProto.FLOAT, ["batch", 2, "height", "width"]),
    }
    # The tracer notes the paths of the source code that it came through.
    assert str(Path(__file__).parent).encode() not in (tmp_path / "out/unet/model.onnx").read_bytes()
    assert json.loads((tmp_path / "out/unet/config.json").read_text()) == tiny.config


def test_the_module_is_left_as_it_was(tiny: TinyNetwork, tmp_path: Path) -> None:
    tiny.train()
    tiny.norm.eval()
    tiny.norm.weight.requires_grad_(False)
    training = [part.training for part in tiny.modules()]
    trainable = [parameter.requires_grad for parameter in tiny.parameters()]
    weights = {name: value.clone() for name, value in tiny.state_dict().items()}

    export_unet(tiny, tiny.config, tmp_path / "out")

    assert [part.training for part in tiny.modules()] == training
    assert [parameter.requires_grad for parameter in tiny.parameters()] == trainable
    assert all(torch.equal(value, weights[name]) for name, value in tiny.state_dict().items())


def test_export_json_has_every_file_and_every_case(tiny: TinyNetwork, tmp_path: Path) -> None:
    report = export_unet(tiny, tiny.config, tmp_path / "out")
    written = json.loads((tmp_path / "out/export.json").read_text())

    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert set(written["files"]) == files - {"export.json"}
    assert format_keys().items() <= written.items()
    for name, entry in written["files"].items():
        contents = (tmp_path / "out" / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(contents).hexdigest(), "size": len(contents)}

    cases = written["verification"]["cases"]
    assert len({case["batch"] for case in cases}) == 3
    assert len({(case["height"], case["width"]) for case in cases}) == 2
    assert written["verification"]["tolerance"] == 1e-4
    assert written["verification"]["error"] == report.error == max(case["error"] for case in cases)
    assert written["opset"] == onnx.load(tmp_path / "out/unet/model.onnx").opset_import[0].version
    assert written["versions"]["torch"] == torch.__version__
    assert written["versions"]["onnxruntime"] == onnxruntime.__version__


def test_large_weights_lie_in_a_file_of_their_own(
    tiny: TinyNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddim_edge_export.graph.passes, "_MAX_BYTES_INSIDE", 0)
    export_unet(tiny, tiny.config, tmp_path / "out")
    assert "unet/model.onnx_data" in json.loads((tmp_path / "out/export.json").read_text())["files"]
    model = onnx.load(tmp_path / "out/unet/model.onnx", load_external_data=False)
    places = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    assert places == {"model.onnx_data"}


def test_a_graph_with_another_weight_is_refused(
    tiny: TinyNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tamper(model: ir.Model, _options: object) -> None:
        weight = next(value for value in model.graph.initializers.values() if str(value.name).endswith("up.weight"))
        assert weight.const_value is not None
        weight.const_value = ir.tensor(weight.const_value.numpy() * np.float32(1.001), name=weight.name)

    monkeypatch.setattr(ddim_edge_export.component, "run_passes", tamper)
    with pytest.raises(ExportError, match=r"the exported graph differs from the network: .* 0\.0001 is allowed"):
        export_unet(tiny, tiny.config, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["export", "verify", "write"])
def test_ctrl_c_leaves_nothing(stage: str, tiny: TinyNetwork, tmp_path: Path) -> None:
    def interrupt(name: str) -> None:
        if name == stage:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        export_unet(tiny, tiny.config, tmp_path / "out", on_stage=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert tiny.training


def test_ctrl_c_while_torch_traces_leaves_nothing(tmp_path: Path) -> None:
    calls: list[int] = []

    def interrupt(output: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return output

    with pytest.raises(KeyboardInterrupt):
        export_unet(TinyNetwork(interrupt), TinyNetwork.config, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_torch_and_its_helpers_say_nothing(
    tiny: TinyNetwork, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    export_unet(tiny, tiny.config, tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            TinyNetwork(lambda output: [output.ndim]),
            "it returned a list, not a tensor, a tuple or an",
        ),
        (
            TinyNetwork(lambda output: output[0]),
            r"must return float32 \(batch, channels, height, width\): float32 \(2, ",
        ),
        (TinyNetwork(lambda output: output / 0), "the network itself returns NaN or infinity"),
        (torch.nn.Conv2d(2, 2, 3), "the network itself fails on sample float32"),
        (TinyNetwork().half(), r"the weight down\.weight is float16; .* call module\.float\(\)"),
        (TinyNetwork(lambda output: output if output.sum() > 0 else -output), "PyTorch cannot trace this TinyNetwork"),
    ],
)
def test_a_module_that_cannot_be_exported(module: torch.nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        export_unet(module, TinyNetwork.config, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_channels": None}, "in_channels must be a whole number of at least 1, not None"),
        ({"sample_size": 0.5}, "sample_size must be"),
        ({"sample_size": None, "block_out_channels": None}, "neither block_out_channels nor sample_size"),
        ({"block_out_channels": 8}, "block_out_channels must be a list"),
        ({"class_embed_type": "projection"}, "class_embed_type 'projection' is not supported"),
        ({"num_class_embeds": 0}, "num_class_embeds must be"),
    ],
)
def test_a_config_that_cannot_be_honoured(
    changes: dict[str, Any], message: str, tiny: TinyNetwork, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_unet(tiny, tiny.config | changes, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
