"""The JSON files of a bundle: their schemas, and how they are read.

A bundle can come from a stranger. ``check_json_files`` checks all files at once, before any of them is used, so that
the code that uses a value does not have to expect another type, or a number that exhausts the memory.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import read_json
from ..config.sampler_options import MAX_TRAIN_STEPS
from ..config.schema import Check, any_of, check_json, flag, list_of, mapping_of, object_with, real, text, whole
from ..errors import BundleError, ConfigError, shown
from .layout import (
    CONFIG,
    CONTROLNET,
    DENOISER_NAMES,
    EXPORT_RECORD,
    GENERATION_CONFIG,
    IMAGE_ENCODER,
    INDEX,
    OUTPUT,
    SCHEDULER,
    VAE_DECODER,
)
from .lora_slots import SCHEMA as SLOTS

MAX_CLASSES = 100_000
MAX_SIDE = 16384
"""The largest height and width of an image, in pixels."""
MAX_AXIS, MAX_AXES = 2**24, 8
"""The longest axis, and the most axes, of a sample that is no image."""
_MAX_CHANNELS, _MAX_WIDTH, _MAX_LEVELS = 10_000, 1_000_000, 12

_WIDTH, _CHANNELS, _FACTOR = whole(1, _MAX_WIDTH), whole(1, _MAX_CHANNELS), real(1e-6, 1e6)
_SIDES = any_of(whole(1, MAX_SIDE), list_of(whole(1, MAX_SIDE), 2))
_ANY_SIDES = any_of(whole(1, MAX_AXIS), list_of(whole(1, MAX_AXIS), MAX_AXES))
_LEVELS = list_of(_WIDTH, _MAX_LEVELS)


def _anything(name: str, value: Any) -> None:
    """No check."""


def _label(name: str, value: Any) -> None:
    """A class name: text that can be written, which a lone surrogate cannot."""
    text()(name, value)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ConfigError(f"{name} must be text in UTF-8, not {shown(value)}")


_OBJECT = mapping_of(_anything)
_TOKEN = any_of(_OBJECT, text())
_CLASS_NAME = list_of(_anything, 2)
"""Library and class of a component, or twice null."""
_PIXELS = any_of(whole(1, 4096), mapping_of(whole(1, 4096)))

_INDEX: Mapping[str, Check] = {
    "id2label": mapping_of(_label, MAX_CLASSES),
    "null_class": whole(0, MAX_CLASSES),
    **dict.fromkeys(("vae", "vqvae", "controlnet", "safety_checker"), _CLASS_NAME),
    **dict.fromkeys(("text_encoder", "text_encoder_2", "text_encoder_3"), _CLASS_NAME),
    "force_zeros_for_empty_prompt": flag,
    "requires_aesthetics_score": flag,
    "is_cosxl_edit": flag,
    "max_noise_level": whole(0, MAX_TRAIN_STEPS - 1),
}
_CONDITIONING_CHANNELS: Mapping[str, Check] = {
    **dict.fromkeys(("name", "source"), text(100)),
    "channels": _CHANNELS,
    **dict.fromkeys(("scaled", "noised", "guided"), flag),
}
_DENOISER: Mapping[str, Check] = {
    "in_channels": _CHANNELS,
    "sample_size": _ANY_SIDES,
    "sample_shape": list_of(whole(1, MAX_AXIS), MAX_AXES),
    "num_class_embeds": whole(0, MAX_CLASSES),
    "block_out_channels": _LEVELS,
    "size_multiple": whole(1, MAX_SIDE),
    "cross_attention_dim": any_of(list_of(_WIDTH), _WIDTH),
    "addition_embed_type": text(),
    "time_cond_proj_dim": whole(4, _MAX_WIDTH),
    **SLOTS,
    "patch_size": whole(1, MAX_SIDE),
    **dict.fromkeys(("joint_attention_dim", "pooled_projection_dim", "pos_embed_max_size"), _WIDTH),
    "caption_channels": _WIDTH,
    "use_additional_conditions": flag,
    "baked_prompt": flag,
    "conditioning_channels": list_of(object_with(_CONDITIONING_CHANNELS), 100),
}
_NUMBERS, _NAMES = list_of(real(-1e30, 1e30)), list_of(text(1000))
_NORMALIZATION: Mapping[str, Check] = {
    "mode": text(100),
    "axis": whole(-MAX_AXES, MAX_AXES - 1),
    **dict.fromkeys(("mean", "std", "min", "max"), _NUMBERS),
}
_OUTPUT: Mapping[str, Check] = {
    "kind": text(100),
    "axes": list_of(text(1000), MAX_AXES),
    "units": text(1000),
    "quantity": text(100),
    "names": _NAMES,
    "normalization": object_with(_NORMALIZATION),
}
_SCHEDULER: Mapping[str, Check] = {"num_inference_steps": whole(1, MAX_TRAIN_STEPS)}
_VAE: Mapping[str, Check] = {
    "block_out_channels": _LEVELS,
    "num_decoder_blocks": list_of(_WIDTH, _MAX_LEVELS),
    **dict.fromkeys(("latent_channels", "vq_embed_dim", "out_channels"), _CHANNELS),
    "sample_size": _SIDES,
    "scaling_factor": _FACTOR,
    "shift_factor": real(-1e6, 1e6),
    "latents_mean": list_of(real(-1e6, 1e6), _MAX_CHANNELS),
    "latents_std": list_of(_FACTOR, _MAX_CHANNELS),
}
_CONTROLNET: Mapping[str, Check] = {"conditioning_channels": _CHANNELS, "global_pool_conditions": flag}
_TEXT_ENCODER: Mapping[str, Check] = {
    "vocab_size": whole(1, 10**9),
    "max_position_embeddings": whole(1, 10**9),
    **SLOTS,
}
_SPECIAL_TOKENS = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), _TOKEN)
_TOKENIZER: Mapping[str, Check] = {
    **_SPECIAL_TOKENS,
    "model_max_length": real(),
    "added_tokens_decoder": mapping_of(_OBJECT),
}
_PREPROCESSOR: Mapping[str, Check] = {
    **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), flag),
    **dict.fromkeys(("size", "crop_size"), _PIXELS),
    "resample": whole(0, 5),
    "rescale_factor": _FACTOR,
    "image_mean": list_of(real(-1e6, 1e6), 3),
    "image_std": list_of(_FACTOR, 3),
}
_IP_ADAPTER: Mapping[str, Check] = {"name": text(1000), "tokens": whole(1, 2**16), "width": _WIDTH}
_IMAGE_ENCODER: Mapping[str, Check] = {
    "image_size": whole(1, 4096),
    "ip_adapters": list_of(object_with(_IP_ADAPTER), 100),
    "preprocessor": object_with(_PREPROCESSOR),
}
DEFAULTS: Mapping[str, Check] = {
    "num_steps": whole(1, MAX_TRAIN_STEPS),
    "guidance_scale": real(0),
    "negative_prompt": text(),
    "height": whole(1, MAX_SIDE),
    "width": whole(1, MAX_SIDE),
}
"""The defaults in generation_config.json."""
PRESET: Mapping[str, Check] = {
    "num_steps": whole(1, MAX_TRAIN_STEPS),
    "sampler": text(100),
    "guidance_scale": real(0),
    "cache": text(100),
    "cache_threshold": real(0),
    "measured": _OBJECT,
}
"""The keys of a preset in generation_config.json."""
_STEP_CACHE: Mapping[str, Check] = {"branch": whole(0, 100), "parameters": real(0, 1)}
_EXPORT: Mapping[str, Check] = {
    "files": mapping_of(_OBJECT),
    "replacing": mapping_of(_OBJECT),
    "network": text(),
    "verification": object_with({"step_cache": object_with(_STEP_CACHE)}),
}

_SCHEMAS: Mapping[str, Mapping[str, Check]] = {
    INDEX: _INDEX,
    EXPORT_RECORD: _EXPORT,
    **{f"{name}/{EXPORT_RECORD}": _EXPORT for name in (*DENOISER_NAMES, f"{CONTROLNET.name}*")},
    GENERATION_CONFIG: {**DEFAULTS, "presets": mapping_of(object_with(PRESET), 1000)},
    OUTPUT: _OUTPUT,
    **{f"{name}/{CONFIG}": _DENOISER for name in DENOISER_NAMES},
    SCHEDULER: _SCHEDULER,
    **{f"{name}/{CONFIG}": _VAE for name in (VAE_DECODER.name, *VAE_DECODER.other_config_folders)},
    f"{CONTROLNET.name}*/{CONFIG}": _CONTROLNET,
    f"text_encoder*/{CONFIG}": _TEXT_ENCODER,
    f"{IMAGE_ENCODER.name}/{CONFIG}": _IMAGE_ENCODER,
    "tokenizer*/tokenizer_config.json": _TOKENIZER,
    "tokenizer*/special_tokens_map.json": _SPECIAL_TOKENS,
    "feature_extractor/preprocessor_config.json": _PREPROCESSOR,
}
"""The schema of each file, by its path in the bundle; ``*`` stands for a number."""


def check_json_files(folder: Path) -> None:
    """Check every JSON file of a bundle. BundleError for the first that is not JSON, or has a wrong value."""
    for pattern, schema in _SCHEMAS.items():
        for path in sorted(folder.glob(pattern)):
            values = read_required(path)
            try:
                check_json(values, schema, str(path))
            except ConfigError as error:
                raise BundleError(f"{error}: export or copy it again") from None


def read_required(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file. BundleError for a file that is missing or is not a JSON object."""
    try:
        return read_json(path)
    except ConfigError as error:
        raise BundleError(f"{error}: export or copy it again") from None


def read_optional(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file; empty if there is no file. BundleError for a file that is not a JSON object."""
    return read_required(path) if path.exists() else {}
