"""LoRA files of every naming, fused: the mathematics on every layer, and diffusers' own reading of kohya's names."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ddim_edge.errors import ConfigError
from ddim_edge.lora.key_names import aliases
from ddim_edge.lora.trained import read_trained
from ddim_edge_export.sources.diffusers_folder import Source
from ddim_edge_export.sources.lora import add_lora, check_targets
from tests.helpers.tiny_networks import Diffusers, text_encoder, unet

Tensors = dict[str, torch.Tensor]
ALPHA, RANK = 6.0, 3
LAYERS = (
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
    "up_blocks.0.attentions.1.proj_in",
    "up_blocks.1.resnets.0.conv1",
)


def halves(layer: Any, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random up and down of a layer, in the shapes that trainers give them."""
    torch.manual_seed(seed)
    outputs, *rest = layer.weight.shape
    up = torch.randn(outputs, RANK, *(1,) * (len(rest) - 1))
    return up, torch.randn(RANK, *rest)


def kohya(component: str, layer: str, up: torch.Tensor, down: torch.Tensor) -> Tensors:
    prefix = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}[component]
    name = f"{prefix}_{layer.replace('.', '_')}"
    return {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down, f"{name}.alpha": torch.tensor(ALPHA)}


def peft(component: str, layer: str, up: torch.Tensor, down: torch.Tensor) -> Tensors:
    return {f"{component}.{layer}.lora_B.weight": up, f"{component}.{layer}.lora_A.weight": down}


def older(component: str, layer: str, up: torch.Tensor, down: torch.Tensor) -> Tensors:
    name = f"{component}.{layer}"
    return {f"{name}.lora.up.weight": up, f"{name}.lora.down.weight": down, f"{name}.alpha": torch.tensor(ALPHA)}


def processors(component: str, layer: str, up: torch.Tensor, down: torch.Tensor) -> Tensors:
    """Diffusers' oldest: only attention, and no alpha."""
    name = f"{component}.{layer.removesuffix('.0').replace('.to_', '.processor.to_')}_lora"
    return {f"{name}.up.weight": up, f"{name}.down.weight": down}


Naming = Callable[[str, str, torch.Tensor, torch.Tensor], Tensors]
PEFT_METADATA = {
    "lora_adapter_metadata": json.dumps({"unet.lora_alpha": ALPHA, "unet.alpha_pattern": {LAYERS[2]: 1.5}})
}


@pytest.mark.parametrize(
    ("naming", "layers", "alphas", "metadata"),
    [
        (kohya, LAYERS, [ALPHA] * 4, None),
        (peft, LAYERS, [RANK] * 4, None),
        (peft, LAYERS, [ALPHA, ALPHA, 1.5, ALPHA], PEFT_METADATA),
        (older, LAYERS, [ALPHA] * 4, None),
        (processors, LAYERS[:2], [RANK] * 2, None),
    ],
    ids=["kohya", "PEFT", "PEFT with its options", "diffusers", "diffusers' processors"],
)
def test_a_lora_is_added_to_its_layers_and_to_nothing_else(
    naming: Naming, layers: tuple[str, ...], alphas: list[float], metadata: dict[str, str] | None, tmp_path: Path
) -> None:
    network, before = unet(), dict(unet().named_parameters())
    expected, file = dict(before), Tensors()
    for seed, (layer, alpha) in enumerate(zip(layers, alphas, strict=True)):
        up, down = halves(network.get_submodule(layer), seed)
        file |= naming("unet", layer, up, down)
        change = torch.einsum("or,r...->o...", up.flatten(1), down)
        expected[f"{layer}.weight"] = before[f"{layer}.weight"] + 0.8 * alpha / RANK * change
    save_file(file, tmp_path / "style.safetensors", metadata)

    add_lora(network, read_trained(f"{tmp_path / 'style.safetensors'}:0.8"), "unet")
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter, expected[name], rtol=1e-5, atol=1e-5)
        assert torch.equal(parameter, before[name]) == (name.removesuffix(".weight") not in layers)


@pytest.mark.parametrize("prefix", ["text_model.", ""])
@pytest.mark.parametrize("naming", [kohya, peft])
@pytest.mark.parametrize("kind", ["CLIPTextModel", "CLIPTextModelWithProjection"])
def test_text_encoders_go_by_the_names_of_every_version_of_transformers(
    kind: str, naming: Naming, prefix: str, tmp_path: Path
) -> None:
    network = text_encoder(kind)
    layer = "encoder.layers.1.self_attn.q_proj"
    (found,) = (part for name, part in network.named_modules() if name.endswith(layer))
    up, down = halves(found, 0)
    alpha = ALPHA if naming is kohya else RANK
    expected = found.weight.detach() + alpha / RANK * up @ down
    save_file(naming("text_encoder", prefix + layer, up, down), tmp_path / "lora.safetensors")
    add_lora(network, read_trained(str(tmp_path / "lora.safetensors")), "text_encoder")
    torch.testing.assert_close(found.weight.detach(), expected)


def test_stabilitys_names_are_those_that_diffusers_translates() -> None:
    """Each layer of a UNet like SDXL's, under its Stability name, as diffusers reads it."""
    network = unet(
        layers_per_block=2,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64,
    )
    checked = 0
    for name, layer in network.named_modules():
        blocks = [
            alias
            for alias in aliases(name, network.config.layers_per_block)
            if "put_blocks_" in alias or "middle_block_" in alias
        ]
        if not hasattr(layer, "weight") or isinstance(layer, torch.nn.GroupNorm | torch.nn.LayerNorm) or not blocks:
            continue
        translated = [_as_diffusers_reads(alias, network.config) for alias in blocks]
        # Its names of old have no 0 at the end of to_out.0.
        assert {name, name.removesuffix(".0")} & set(translated), (blocks, translated)
        checked += 1
    assert checked > 60


def _as_diffusers_reads(alias: str, config: Any) -> str:
    file = {
        f"lora_unet_{alias}.lora_down.weight": torch.zeros(1, 1),
        f"lora_unet_{alias}.lora_up.weight": torch.zeros(1, 1),
        f"lora_unet_{alias}.alpha": torch.tensor(1.0),
    }
    try:
        read, _ = Diffusers.StableDiffusionXLPipeline.lora_state_dict(file, unet_config=config)
    except (ValueError, IndexError, KeyError):
        return "refused"
    (name,) = (key for key in read if ".down." in key or "lora_A" in key)
    parts = name.removeprefix("unet.").replace(".processor", "").partition(".lora")[0].removesuffix("_lora")
    return str(parts.replace("_lora.down.weight", "").removesuffix(".down.weight"))


def refused(
    file: Mapping[str, torch.Tensor], message: str, tmp_path: Path, graphs: tuple[str, ...] = ("unet",)
) -> None:
    save_file(dict(file), tmp_path / "lora.safetensors")
    source = Source(folder=tmp_path, index={}, components=(), graphs=graphs)

    def read_and_fuse() -> None:
        lora = read_trained(str(tmp_path / "lora.safetensors"))
        check_targets((lora,), source)
        add_lora(unet(), lora, "unet")

    with pytest.raises(ConfigError, match=message) as caught:
        read_and_fuse()
    assert "\n" not in str(caught.value)


def test_a_layer_that_is_not_there(tmp_path: Path) -> None:
    up, down = torch.zeros(8, 2), torch.zeros(2, 8)
    refused(
        kohya("unet", "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k2", up, down),
        r"1 keys match no layer of the unet, 'down_blocks_1_.*_to_k2' .* closest layers are down_blocks\.1\..*\.to_k,",
        tmp_path,
    )


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (kohya("text_encoder_2", "x", torch.zeros(2, 2), torch.zeros(2, 2)), "changes a text_encoder_2, by lora_te2_x"),
        ({"unet.conv_in.hada_w1_a": torch.zeros(2, 2)}, "hada_w1_a' is not a known LoRA key"),
        (
            {"lora_unet_conv_in.lora_up.weight": torch.zeros(2, 2)},
            r"has only one of the two matrices for unet\.conv_in",
        ),
        (
            peft("unet", "conv_in", torch.zeros(8, 2), torch.zeros(2, 5)),
            r"\(8, 2\) by \(2, 5\) does not fit unet\.conv_in",
        ),
    ],
)
def test_a_file_that_does_not_fit(file: Tensors, message: str, tmp_path: Path) -> None:
    refused(file, message, tmp_path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "lora.pt").write_bytes(b"not safetensors")
    for name in ("lora.pt", "missing.safetensors:0.5"):
        with pytest.raises(ConfigError, match=r"cannot read the LoRA .*; give a file in safetensors"):
            read_trained(str(tmp_path / name))


@pytest.mark.parametrize("scale", ["nan", "inf", "-1e9"])
def test_a_scale_that_is_no_strength(scale: str) -> None:
    with pytest.raises(ConfigError, match=r"the scale of .* must be a number from -1000 to 1000"):
        read_trained(f"some.safetensors:{scale}")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("[", "is not JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"unet.lora_alpha": "x"}', "lora_alpha must be a finite number"),
        ('{"unet.alpha_pattern": [1]}', "alpha_pattern must be an object"),
    ],
)
def test_metadata_of_wrong_types(metadata: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    weights = {"unet.conv_in.lora_A.weight": torch.zeros(1, 4), "unet.conv_in.lora_B.weight": torch.zeros(8, 1)}
    save_file(weights, path, {"lora_adapter_metadata": metadata})
    with pytest.raises(ConfigError, match=message):
        read_trained(str(path))


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"cannot read the LoRA .*: .*it is not a regular file"):
        read_trained(str(tmp_path / "pipe"))
