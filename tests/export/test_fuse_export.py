"""``export --fuse-step``: what goes into the bundle, for networks of all kinds, and what it is refused for."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import ddim_edge_export.fit
from ddim_edge.integrity import verify_files
from ddim_edge_export import export_folder
from ddim_edge_export.verify_step import verify_step

from .conftest import SourceOf

CONDITIONING = {"text_embeds", "time_ids", "timestep_cond"}


@pytest.mark.parametrize(
    ("family", "options", "names"),
    [
        ("stable-diffusion", {"dtype": "fp16"}, set()),
        ("stable-diffusion-2", {"quantize": "int8-weights", "target": "cuda"}, set()),
        ("lcm", {"dtype": "bf16"}, {"timestep_cond"}),
        ("sdxl", {"static": "2x32x48", "opset": 18}, {"text_embeds", "time_ids"}),
    ],
)
def test_networks_that_read_text(
    family: str,
    options: dict[str, Any],
    names: set[str],
    source_of: SourceOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ddim_edge_export.fit, "_MAX_BYTES_INSIDE", 0)
    bundle = tmp_path / "bundle"
    report = export_folder(source_of(family), bundle, components=["unet"], fuse_step=True, **options)

    unet = bundle / "unet"
    plain, fused = (onnx.load(unet / name, load_external_data=False) for name in ("model.onnx", "unet_step.onnx"))
    inputs = [value.name for value in plain.graph.input]
    assert [value.name for value in fused.graph.input] == [*inputs, "step_coefficients", "noise"]
    assert CONDITIONING & set(inputs) == names
    assert fused.opset_import == plain.opset_import
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*fused.graph.input, *fused.graph.output)}
    assert {kinds[name] for name in ("sample", "noise", "next_sample", "denoised")} == {onnx.TensorProto.FLOAT}
    data = (unet / "model.onnx_data").stat().st_size
    assert sum(path.stat().st_size for path in unet.glob("*.onnx*")) < 2 * data

    error = report.components["unet"].step_error
    assert error is not None
    assert error <= 1e-5
    record = json.loads((unet / "export.json").read_text())
    assert record["fuse_step"] is True
    assert record["verification"]["step"]["error"] == error
    assert verify_step(unet / "model.onnx", unet / "unet_step.onnx") == error
    files = verify_files(bundle)
    assert files == sum(path.is_file() for path in bundle.rglob("*")) - 1
