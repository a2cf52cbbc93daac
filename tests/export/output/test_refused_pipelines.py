"""Pipelines that are not exported, or only where that was asked for. Nothing is traced."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ddim_edge.errors import ConfigError, DdimEdgeError
from ddim_edge_export import export_folder
from tests.helpers.tiny_networks import change

GRAPHS = ["unet", "vae_encoder", "vae_decoder", "text_encoder", "safety_checker"]


def refused(kind: type[DdimEdgeError], message: str, source: Path, **options: Any) -> None:
    with pytest.raises(kind, match=message) as caught:
        export_folder(source, source.parent / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (source.parent / "out").exists()


@pytest.mark.usefixtures("exported")
def test_options_that_mean_nothing(source: Path) -> None:
    refused(
        ConfigError, "component 'vae_decode' is unknown. Did you mean 'vae_decoder'", source, components=["vae_decode"]
    )
    refused(ConfigError, "dtype 'fp8' is unknown", source, dtype="fp8")
    refused(ConfigError, r"cannot read .*nowhere.*config\.json", source, vae=source / "nowhere")
    refused(ConfigError, "has a UNet2DConditionModel; supported there: AutoencoderKL", source, vae=source / "unet")
    refused(
        ConfigError, "no autoencoder is among the components to export", source, vae=source / "vae", components=["unet"]
    )
    refused(ConfigError, "cannot read the LoRA", source, loras=[str(source / "missing.safetensors")])


@pytest.mark.usefixtures("exported")
def test_networks_that_are_not_supported(source: Path) -> None:
    change(source / "unet" / "config.json", addition_embed_type="image")
    refused(ConfigError, "addition_embed_type 'image' is not supported; supported: null, 'text', 'text_time'", source)
    change(source / "unet" / "config.json", addition_embed_type=None, encoder_hid_dim_type="ip_image_proj")
    refused(ConfigError, "encoder_hid_dim_type 'ip_image_proj' is not supported", source)
    change(source / "model_index.json", prior=["diffusers", "PriorTransformer"])
    refused(ConfigError, "has the component 'prior', a 'PriorTransformer', which is not supported", source)


@pytest.mark.usefixtures("exported")
def test_pickled_weights_only_when_asked(source: Path) -> None:
    for path in source.rglob("*.safetensors"):
        # transformers calls its weights otherwise when they are pickled.
        pickled = path.with_name("pytorch_model.bin" if path.name == "model.safetensors" else f"{path.stem}.bin")
        torch.save(load_file(path), pickled)
        path.unlink()
    refused(ConfigError, "has no weights in safetensors, .* or read them with --allow-pickle", source)
    report = export_folder(source, source.parent / "out", allow_pickle=True)
    assert list(report.components) == GRAPHS
    made_from = json.loads((source.parent / "out" / "unet" / "export.json").read_text())["made_from"]
    assert list(made_from["files"]) == ["config.json", "diffusion_pytorch_model.bin"]


@pytest.mark.usefixtures("exported")
def test_a_folder_that_has_the_fp16_variant_alone(source: Path) -> None:
    weights = source / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    export_folder(source, source.parent / "out", components=["unet"])
