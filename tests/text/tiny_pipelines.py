"""Tiny pipelines with random weights, and the text side of the bundles that would be exported of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch.export import Dim
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ddim_edge_export.quiet import quiet
from tests.helpers import faster_export  # noqa: F401

from .tokenizer_folders import write_tokenizer

WIDTH, POOLED = 16, 12
_LAYERS = 2
_TIME = 8  # channels that each of SDXL's time_ids is embedded in


def text_encoder(seed: int, activation: str) -> CLIPTextModel:
    torch.manual_seed(seed)
    encoder = CLIPTextModel(_config(activation))
    _settle(encoder)
    return encoder


def projecting_text_encoder(seed: int, activation: str) -> CLIPTextModelWithProjection:
    torch.manual_seed(seed)
    encoder = CLIPTextModelWithProjection(_config(activation))
    _settle(encoder)
    return encoder


def _settle(encoder: torch.nn.Module) -> None:
    """For inference, and with norms that shift, as trained ones do: the mean of what they return is not zero."""
    encoder.requires_grad_(False).train(False)
    for module in encoder.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.bias.normal_(0.5, 0.2)


def _config(activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        hidden_size=WIDTH,
        intermediate_size=24,
        projection_dim=POOLED,
        num_hidden_layers=_LAYERS,
        num_attention_heads=2,
        hidden_act=activation,
        vocab_size=49408,
        bos_token_id=49406,
        eos_token_id=49407,
        initializer_factor=4.0,  # larger than usual, so that an error shows
    )


def sd_pipeline(encoder: CLIPTextModel, tokenizer: Path) -> StableDiffusionPipeline:
    """Stable Diffusion 1 or 2: they differ in their encoder and in what the tokenizer fills chunks with."""
    unused = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return StableDiffusionPipeline(**_network(WIDTH), **_text("", encoder, tokenizer), **unused)


def sdxl_pipeline(
    first: CLIPTextModel, second: CLIPTextModelWithProjection, tokenizers: tuple[Path, Path]
) -> StableDiffusionXLPipeline:
    network = _network(2 * WIDTH, time_ids=6)
    texts = {**_text("", first, tokenizers[0]), **_text("_2", second, tokenizers[1])}
    return StableDiffusionXLPipeline(**network, **texts, add_watermarker=False)


def refiner_pipeline(encoder: CLIPTextModelWithProjection, tokenizer: Path) -> StableDiffusionXLImg2ImgPipeline:
    network = _network(WIDTH, time_ids=5)
    texts = {"text_encoder": None, "tokenizer": None, **_text("_2", encoder, tokenizer)}
    options = {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False, "add_watermarker": False}
    return StableDiffusionXLImg2ImgPipeline(**network, **texts, **options)


def write_text_side(
    folder: Path, pipeline: DiffusionPipeline, exported: Mapping[str, Path], tokenizers: Mapping[str, str]
) -> Path:
    """Write model_index.json, the ``exported`` graphs by component, and tokenizers in their layouts."""
    pipeline.save_config(folder)
    for component, graph in exported.items():
        (folder / component).mkdir()
        (folder / component / "model.onnx").write_bytes(graph.read_bytes())
    for name, layout in tokenizers.items():
        write_tokenizer(folder / name, layout)
    return folder


def export_encoder(encoder: CLIPTextModel | CLIPTextModelWithProjection, path: Path) -> Path:
    """Write the graph with the input and the outputs that optimum gives it."""
    first = ["text_embeds", "last_hidden_state"]
    if isinstance(encoder, CLIPTextModel):
        first = ["last_hidden_state", "pooler_output"]
    module = _Outputs(encoder, first).eval()
    with quiet():
        program = torch.onnx.export(
            module,
            (torch.zeros(2, 77, dtype=torch.int32),),
            input_names=["input_ids"],
            output_names=[*first, *(f"hidden_states.{layer}" for layer in range(_LAYERS + 1))],
            dynamic_shapes=({0: Dim.DYNAMIC},),
            opset_version=23,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(path)
    return path


class _Outputs(torch.nn.Module):
    def __init__(self, encoder: torch.nn.Module, names: list[str]) -> None:
        super().__init__()
        self.encoder, self.names = encoder, names

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.encoder(input_ids, output_hidden_states=True)
        return (*(outputs[name] for name in self.names), *outputs.hidden_states)


def _text(suffix: str, encoder: Callable[..., Any], tokenizer: Path) -> dict[str, Any]:
    return {f"text_encoder{suffix}": encoder, f"tokenizer{suffix}": CLIPTokenizer.from_pretrained(str(tokenizer))}


def _network(width: int, time_ids: int = 0) -> dict[str, Any]:
    """The parts that no text goes through, but for the UNet's sizes."""
    added: dict[str, Any] = {}
    if time_ids:
        projected = POOLED + time_ids * _TIME
        added = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": _TIME,
            "projection_class_embeddings_input_dim": projected,
        }
    unet = UNet2DConditionModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=2,
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=width,
        **added,
    )
    vae = AutoencoderKL(block_out_channels=(4,), norm_num_groups=2)
    return {"unet": unet, "vae": vae, "scheduler": DDIMScheduler(steps_offset=1, clip_sample=False)}
