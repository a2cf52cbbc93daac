"""A network with LoRA slots beside PyTorch's with the LoRA in its weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import ddim_edge
from ddim_edge.errors import ConfigError
from ddim_edge.generation.requests.loras import used_loras
from ddim_edge.lora.trained import read_trained
from ddim_edge.networks.row import Row
from ddim_edge_export import export_folder
from ddim_edge_export.sources.lora import add_lora
from tests.helpers.closeness import keep
from tests.helpers.command_line import Invoke
from tests.helpers.exported import Exports
from tests.helpers.tiny_networks import unet

COMPONENTS = ["unet", "text_encoder", "vae_decoder"]
LAYERS = {
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": 2,
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0": 3,
    "up_blocks.0.attentions.1.proj_in": 1,
    "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj": 2,
    "down_blocks.0.resnets.0.time_emb_proj": 2,
}
"""Linear layers, one with four axes, and the rank of their change."""


def write_lora(path: Path, seed: int) -> Path:
    """A file with kohya's names for the layers."""
    network, file = unet(), dict[str, torch.Tensor]()
    torch.manual_seed(seed)
    for layer, rank in LAYERS.items():
        shape, name = network.get_submodule(layer).weight.shape, f"lora_unet_{layer.replace('.', '_')}"
        file[f"{name}.lora_up.weight"] = 0.3 * torch.randn(shape[0], rank, *[1] * (len(shape) - 2))
        file[f"{name}.lora_down.weight"] = 0.3 * torch.randn(rank, *shape[1:])
        file[f"{name}.alpha"] = torch.tensor(4.0)
    save_file(file, path)
    return path


@pytest.mark.slow
def test_rows_with_other_adapters_are_those_of_pytorch(exports: Exports, tmp_path: Path, invoke: Invoke) -> None:
    bundle = tmp_path / "bundle"
    export_folder(exports.source("stable-diffusion"), bundle, components=COMPONENTS, lora_slots=2, lora_rank=3)
    assert json.loads((bundle / "unet/config.json").read_text())["lora_slots"] == 2
    scales = {"a": 0.7, "b": -1.3}
    files = {name: write_lora(tmp_path / f"{name}.safetensors", seed) for seed, name in enumerate(scales)}
    for file in files.values():
        assert invoke("lora", file, bundle).code == 0
    random = np.random.default_rng(0)
    sample, told = (random.standard_normal(shape, np.float32) for shape in ((1, 4, 16, 16), (1, 77, 16)))
    pipeline = ddim_edge.load(bundle, "cpu")
    choices: list[dict[str, float]] = [{}, {"a": 0.7}, {"b": -1.3}, scales]
    rows = [
        Row(sample, 21.0, {"encoder_hidden_states": told}, None, 1.0, loras=used_loras(pipeline.bundle, each))
        for each in choices
    ]
    for made, each in zip(pipeline.denoiser.predict(rows), choices, strict=True):
        network = unet()
        for name, scale in each.items():
            add_lora(network, read_trained(f"{files[name]}:{scale}"), "unet")
        with torch.no_grad():
            expected = network(torch.from_numpy(sample), 21.0, torch.from_numpy(told)).sample[0].numpy()
        keep("Stable Diffusion 1 with LoRAs in slots", float(np.abs(made - expected).max()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora_slots": 2, "fuse_step": True}, "--lora-slots: --fuse-step makes a further graph"),
        ({"lora_slots": 2, "step_cache": 0}, "--lora-slots: --step-cache makes a further graph"),
        ({"lora_rank": 4}, r"give lora_slots \(--lora-slots\), too"),
        ({"lora_slots": 65}, "lora_slots must be from 1 to 64, not 65"),
    ],
)
def test_options_that_do_not_go_together(
    options: dict[str, Any], message: str, exports: Exports, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_folder(exports.source("stable-diffusion"), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
