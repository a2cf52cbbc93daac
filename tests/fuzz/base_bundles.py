"""Whole small bundles as files in memory, which the generators damage."""

import functools
import json
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
from tokenizers import Tokenizer, models

from tests.helpers.tiny_bundles import write_bundle

from .case import File
from .png import whole_png

Files = Mapping[str, bytes]
BUNDLE = "../in/bundle"
"""A case's bundle, seen from the folder of its command."""

_WIDTH = 4
"""Width of the text embeddings."""
_TOKENS = 8
_WORDS = ("<|startoftext|>", "<|endoftext|>", *"abc", *(f"{letter}</w>" for letter in "abc"))


@functools.cache
def classes() -> Files:
    """A model of single pixels with classes."""
    return _files_of_classes(external=False)


@functools.cache
def with_external_weights() -> Files:
    """The same model with its weights in a file of their own."""
    return _files_of_classes(external=True)


@functools.cache
def text_to_image() -> Files:
    """A latent model: text encoder, tokenizer, UNet, autoencoder, ControlNet."""
    graphs = {name: _graph(text).SerializeToString() for name, text in _GRAPHS.items()}
    return {
        "model_index.json": _json(_INDEX),
        "scheduler/scheduler_config.json": _json({"_class_name": "EulerDiscreteScheduler", "num_train_timesteps": 100}),
        "unet/config.json": _json(_UNET),
        "vae_decoder/config.json": _json(_VAE),
        "vae_encoder/config.json": _json(_VAE),
        "controlnet/config.json": _json({"conditioning_channels": 3, "global_pool_conditions": False}),
        "text_encoder/config.json": _json({"vocab_size": len(_WORDS), "max_position_embeddings": _TOKENS}),
        "tokenizer/tokenizer.json": _tokenizer(),
        "tokenizer/tokenizer_config.json": _json(_TOKENIZER),
        **{f"{name}/model.onnx": graph for name, graph in graphs.items()},
    }


def in_bundle(files: Mapping[str, File]) -> dict[str, File]:
    """The files of a case: those of a bundle, and the picture that the text model's ControlNet needs."""
    return {f"bundle/{name}": file for name, file in files.items()} | {"control.png": whole_png("RGB", (8, 8))}


def run_options(is_text: bool) -> tuple[str, ...]:
    """What a run of one of the bundles needs."""
    text = ("--prompt", "a b", "-n", "1", "-s", "2", "--control-image", "../in/control.png")
    return text if is_text else ("-n", "2", "-s", "2", "-g", "2")


def run_or_inspect(generator: random.Random, is_text: bool) -> tuple[str, ...]:
    """A command that reads one of the bundles."""
    if generator.random() < 0.12:
        return "inspect", BUNDLE
    return "run", BUNDLE, *run_options(is_text), "-o", "x.png"


def _files_of_classes(*, external: bool) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        root = write_bundle(Path(folder) / "bundle", external=external)
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _graph(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]>\n{text}')


def _weights(shape: str, count: int) -> str:
    return f"float[{shape}] w = {{{', '.join(str((index * 7 % 11 - 5) / 20) for index in range(count))}}}"


def _tokenizer() -> bytes:
    model = models.BPE(vocab={word: index for index, word in enumerate(_WORDS)}, merges=[], end_of_word_suffix="</w>")
    return Tokenizer(model).to_str().encode()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


_INDEX = {
    "_class_name": "StableDiffusionControlNetPipeline",
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "controlnet": ["diffusers", "ControlNetModel"],
}
_UNET = {
    "in_channels": 2,
    "out_channels": 2,
    "sample_size": 4,
    "cross_attention_dim": _WIDTH,
    "block_out_channels": [4, 4],
    "size_multiple": 1,
}
_VAE = {
    "block_out_channels": [4, 4],
    "latent_channels": 2,
    "out_channels": 3,
    "sample_size": 8,
    "scaling_factor": 0.5,
    "shift_factor": None,
}
_TOKENIZER = {
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
    "model_max_length": _TOKENS,
    "tokenizer_class": "CLIPTokenizer",
}
_GRAPHS = {
    "text_encoder": f"""text (int64[batch, {_TOKENS}] input_ids)
        => (float[batch, {_TOKENS}, {_WIDTH}] last_hidden_state)
        <{_weights(f"{len(_WORDS)}, {_WIDTH}", len(_WORDS) * _WIDTH)}>
        {{ last_hidden_state = Gather(w, input_ids) }}""",
    "unet": f"""unet (float[batch, 2, height, width] sample, int64[batch] timestep,
          float[batch, tokens, {_WIDTH}] encoder_hidden_states,
          float[batch, 2, height, width] mid_block_additional_residual)
        => (float[batch, 2, height, width] out_sample)
        <float slope = {{0.001}}, int64[4] column = {{-1, 1, 1, 1}}, int64[2] axes = {{1, 2}}>
        {{ time = Cast<to=1>(timestep)
          drift = Mul(time, slope)
          mean = ReduceMean<keepdims=0>(encoder_hidden_states, axes)
          shift = Add(drift, mean)
          term = Reshape(shift, column)
          moved = Add(sample, mid_block_additional_residual)
          out_sample = Add(moved, term) }}""",
    "controlnet": f"""control (float[batch, 2, height, width] sample, float[batch, 3, tall, wide] controlnet_cond)
        => (float[batch, 2, height, width] mid_block_additional_residual)
        <{_weights("2, 12, 1, 1", 24)}>
        {{ deep = SpaceToDepth<blocksize=2>(controlnet_cond)
          hint = Conv(deep, w)
          mid_block_additional_residual = Add(hint, sample) }}""",
    "vae_decoder": f"""decoder (float[batch, 2, height, width] latent_sample) => (float[batch, 3, tall, wide] sample)
        <{_weights("12, 2, 1, 1", 24)}>
        {{ deep = Conv(latent_sample, w)
          sample = DepthToSpace<blocksize=2>(deep) }}""",
    "vae_encoder": f"""encoder (float[batch, 3, tall, wide] sample)
        => (float[batch, 4, height, width] latent_parameters)
        <{_weights("4, 12, 1, 1", 48)}>
        {{ deep = SpaceToDepth<blocksize=2>(sample)
          latent_parameters = Conv(deep, w) }}""",
}
