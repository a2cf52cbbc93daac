"""What a graph is made for: one shape, an older opset, a target."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import ddim_edge
from ddim_edge.errors import ConfigError
from ddim_edge_export import export_folder
from ddim_edge_export.component import export_into
from ddim_edge_export.networks.denoiser import call_unet, unet_signature
from ddim_edge_export.networks.network import Network
from ddim_edge_export.options import Options
from ddim_edge_export.progress import ignore_stage

from .conftest import MakeUnet, SourceOf

ONE_LEVEL: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
    "mid_block_type": None,
}


def exported(make_unet: MakeUnet, folder: Path, options: Options) -> onnx.ModelProto:
    """A UNet that agrees with PyTorch, as a graph; its report is checked at shapes that it has not seen."""
    unet = make_unet(**ONE_LEVEL)
    signature = unet_signature(unet.config)
    network = Network(module=unet, call=call_unet, signature=signature)
    assert export_into(folder, lambda: network, unet.config, ignore_stage, options).error <= 1e-4
    inputs = signature.draw(4, {"height": 8, "width": 16}, seed=100)
    with torch.no_grad():
        expected = unet(**{name: torch.from_numpy(array) for name, array in inputs.items()}).sample.numpy()
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, inputs)[0], expected, atol=1e-4 * expected.std())
    return onnx.load(folder / "model.onnx")


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def test_an_older_opset(make_unet: MakeUnet, tmp_path: Path) -> None:
    model = exported(make_unet, tmp_path, Options(opset=18))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert not operators(model) & {"GroupNormalization", "Attention", "Gelu"}


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_norms_for_the_cpu_have_kernels_on_cuda(target: str, make_unet: MakeUnet, tmp_path: Path) -> None:
    """From opset 22 on, CUDA has no InstanceNormalization."""
    found = operators(exported(make_unet, tmp_path, Options(target=target)))
    assert {"LayerNormalization", "BatchNormalization"} <= found
    assert not found & {"GroupNormalization", "InstanceNormalization"}


def test_norms_for_tensorrt_stay_as_they_are(make_unet: MakeUnet, tmp_path: Path) -> None:
    found = operators(exported(make_unet, tmp_path, Options(target="tensorrt")))
    assert "GroupNormalization" in found
    assert not found & {"LayerNormalization", "BatchNormalization", "InstanceNormalization"}


@pytest.mark.slow
def test_a_bundle_of_one_shape(source_of: SourceOf, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    parts = ["unet", "text_encoder", "vae_decoder"]
    report = export_folder(source_of("lcm"), bundle, components=parts, static="2x32x48")
    shapes = {
        name: [[axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in graph.input]
        for name in parts
        for graph in [onnx.load(bundle / name / "model.onnx").graph]
    }
    assert shapes["unet"] == [[2, 4, 16, 24], [2], [2, 77, 16], [2, 12]]
    assert shapes["text_encoder"] == [[1, 77]]
    assert shapes["vae_decoder"] == [[1, 4, 16, 24]]
    assert {name: {case.batch for case in part.cases} for name, part in report.components.items()} == {
        "unet": {2},
        "text_encoder": {1},
        "vae_decoder": {1},
    }
    assert json.loads((bundle / "unet" / "export.json").read_text())["static"] == "2x32x48"

    # It runs at that size without being told, for any number of images.
    images = ddim_edge.load(bundle, "cpu").generate(prompt="a b", num_images=3, num_steps=1, seed=0).images
    assert images.shape == (3, 32, 48, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"static": "512x512"}, "static '512x512' is not BxHxW: give batch, height and width in pixels"),
        ({"static": "0x32x32"}, "static '0x32x32' is not BxHxW"),
        ({"static": "1x34x63"}, "static 1x34x63: .* must be multiples of 2 for this model; the nearest are 34 and 64"),
        ({"opset": 17}, "opset 17 is not supported: choose from 18 to 23"),
        ({"target": "cuda12"}, "target 'cuda12' is unknown. Did you mean 'cuda'"),
        ({"quantize": "int4"}, "quantization 'int4' is unknown.* Valid: int8-weights"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], message: str, source_of: SourceOf, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        export_folder(source_of("stable-diffusion"), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
