"""Every value of every JSON file of a bundle may be anything: the bundle opens, or one line says what is wrong."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge.bundle.bundle import Bundle
from ddim_edge.bundle.read import open_bundle
from tests.helpers.array_bundles import write_array_bundle
from tests.helpers.tiny_bundles import tiny_model, write_bundle, write_json

FILES: dict[str, dict[str, Any]] = {
    "model_index.json": {
        "_class_name": "StableDiffusionPipeline",
        "id2label": {"0": "cat", "1": "dog"},
        "null_class": 2,
        "vae": ["diffusers", "AutoencoderKL"],
        "controlnet": ["diffusers", "ControlNetModel"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "requires_aesthetics_score": False,
        "force_zeros_for_empty_prompt": True,
    },
    "export.json": {
        "format": 1,
        "min_ddim_edge": "0.1",
        "replacing": {},
        "source": "x",
        "files": {"unet/model.onnx": {"sha256": "0", "size": 1}},
    },
    "controlnet/export.json": {"network": "ControlNetModel", "files": {}},
    "unet/export.json": {"verification": {"step_cache": {"branch": 0, "parameters": 0.01}}},
    "generation_config.json": {
        "num_steps": 20,
        "height": 64,
        "width": 64,
        "guidance_scale": 2.5,
    },
    "unet/config.json": {
        "in_channels": 4,
        "sample_size": [8, 8],
        "num_class_embeds": 3,
        "block_out_channels": [4, 4],
        "size_multiple": 2,
        "cross_attention_dim": 8,
        "addition_embed_type": "text_time",
        "time_cond_proj_dim": 8,
    },
    "scheduler/scheduler_config.json": {
        "_class_name": "EulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "num_inference_steps": 20,
        "beta_schedule": "linear",
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "trained_betas": None,
        "prediction_type": "epsilon",
        "steps_offset": 1,
        "timestep_spacing": "leading",
        "use_karras_sigmas": True,
        "sigma_min": 0.02,
        "sigma_max": 80.0,
        "s_churn": 0.0,
    },
    "vae_decoder/config.json": {
        "block_out_channels": [4, 4, 4, 4],
        "latent_channels": 4,
        "out_channels": 3,
        "sample_size": 64,
        "scaling_factor": 0.18215,
        "shift_factor": 0.1,
        "latents_mean": [0.0] * 4,
        "latents_std": [1.0] * 4,
    },
    "controlnet/config.json": {"conditioning_channels": 3, "global_pool_conditions": False},
    "text_encoder/config.json": {"vocab_size": 10, "max_position_embeddings": 77},
    "tokenizer/tokenizer_config.json": {
        "model_max_length": 77,
        "pad_token": "<|endoftext|>",
        "added_tokens_decoder": {"3": {"content": "x"}},
    },
    "tokenizer/special_tokens_map.json": {"bos_token": {"content": "x"}},
    "feature_extractor/preprocessor_config.json": {
        "size": {"shortest_edge": 224},
        "crop_size": 224,
        "do_resize": True,
        "resample": 3,
        "rescale_factor": 0.004,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
}
"""A valid bundle's JSON files, with every key that is read."""
NORMALIZATION = {"mode": "min_max", "axis": -1, "min": [0.0, 0.0], "max": [1.0, 2.0]}
ARRAY: dict[str, dict[str, Any]] = {
    "unet/config.json": {"sample_shape": [3, 2]},
    "output.json": {
        "kind": "array",
        "axes": ["time", "action"],
        "units": "m",
        "names": ["x", "y"],
        "normalization": NORMALIZATION,
    },
}
"""The files of a bundle that makes arrays, with the keys that others do not have."""

WRONG: tuple[Any, ...] = (
    None,
    True,
    "x",
    -1,
    0,
    3,
    10**12,
    10**400,
    -0.5,
    1e-300,
    math.nan,
    [],
    {},
    ["x"],
    [[1]],
    {"a": 1},
    "y" * 30_000,
)
DEEP = "[" * 100_000 + "]" * 100_000


def _write(folder: Path) -> Path:
    write_bundle(folder, tiny_model(classes=False), labels=None)
    for name, values in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_json(folder / name, values)
    for network in ("vae_decoder", "controlnet", "text_encoder"):
        (folder / network / "model.onnx").touch()
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("bundles") / "whole")


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_array_bundle(tmp_path_factory.mktemp("bundles") / "arrays", (3, 2))
    write_json(folder / "output.json", ARRAY["output.json"])
    return folder


def test_the_files_are_those_of_a_bundle(whole: Path) -> None:
    bundle = open_bundle(whole)
    assert (bundle.sample_shape, bundle.labels, bundle.num_steps) == ((4, 8, 8), ("cat", "dog"), 20)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, values in FILES.items() for key in values])
def test_any_value_of_any_key(whole: Path, name: str, key: str) -> None:
    refused = 0
    for value in WRONG:
        with _changed(whole / name, {**FILES[name], key: value}):
            refused += _opened(whole) is None
    with _changed(whole / name, json.dumps({**FILES[name], key: "@"}).replace('"@"', DEEP)):
        assert _opened(whole) is None
    # Not read are the index's _class_name and an export's source. Where s_churn is wrong, other samplers work.
    assert refused > 4 or key in ("_class_name", "source", "s_churn")


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, values in ARRAY.items() for key in values])
def test_any_value_of_any_key_of_an_array(arrays: Path, name: str, key: str) -> None:
    assert _opened(arrays) is not None
    refused = 0
    for value in WRONG:
        with _changed(arrays / name, {**ARRAY[name], key: value}):
            refused += _opened(arrays) is None
    assert refused > 4


@pytest.mark.parametrize("key", NORMALIZATION)
def test_any_value_of_any_key_of_a_normalization(arrays: Path, key: str) -> None:
    for value in WRONG:
        changed = {**ARRAY["output.json"], "normalization": {**NORMALIZATION, key: value}}
        with _changed(arrays / "output.json", changed):
            _opened(arrays)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("text", [DEEP, '{"a":' + DEEP + "}", "[1]", "{", "\0", "1"])
def test_a_file_that_is_no_json_object(whole: Path, name: str, text: str) -> None:
    with _changed(whole / name, text):
        assert _opened(whole) is None


def _opened(folder: Path) -> Bundle | None:
    """The bundle; None where it is refused as it should be: by one short line."""
    try:
        return open_bundle(folder)
    except ddim_edge.BundleError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 900 + len(str(folder))
    return None


@contextlib.contextmanager
def _changed(path: Path, contents: dict[str, Any] | str) -> Iterator[None]:
    """Change a file for the time of a block."""
    before = path.read_bytes()
    path.write_text(contents if isinstance(contents, str) else json.dumps(contents), encoding="utf-8")
    yield
    path.write_bytes(before)
