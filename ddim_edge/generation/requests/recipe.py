"""Recipes: the schema of the JSON object that a picture or a latents file carries."""

from collections.abc import Mapping
from typing import Any

from ...bundle.json_files import MAX_AXES, MAX_AXIS, MAX_SIDE
from ...config.diffusers_names import unknown_value
from ...config.schema import check_json, flag, list_of, mapping_of, real, text, whole
from ...diffusion.samplers import SAMPLERS, SamplerConfig
from ...errors import ConfigError
from .loras import LORA_LIST

MAX_IMAGES = 10**7
"""The most images of one request."""

REAL_TIMESTEPS = 2
"""Version of a recipe whose sampler feeds the network fractional timesteps. A recipe says the lowest version that
describes it; one without a version has 1, in which the timesteps between two whole ones were rounded."""

_TEXT = text(2**20)


def _anything(_name: str, _value: Any) -> None:
    """An option of the sampler: its config checks it."""


_SCHEMA = {
    "model": text(4096),
    "model_sha256": text(64),
    "recipe_version": whole(1, 2**31),
    "version": text(100),
    "precision": text(100),
    "label_names": list_of(_TEXT),
    "labels": list_of(whole(0, 2**31)),
    "prompts": list_of(_TEXT),
    "between_prompts": flag,
    "negative_prompt": _TEXT,
    "interpolated": _TEXT,
    "num_images": whole(1, MAX_IMAGES),
    "index": whole(0, MAX_IMAGES - 1),
    "num_steps": whole(1, 2**31),
    "seed": whole(0, 2**63),
    "batch_size": whole(1, 2**31),
    "height": whole(1, MAX_SIDE),
    "width": whole(1, MAX_SIDE),
    "shape": list_of(whole(1, MAX_AXIS), MAX_AXES),
    "noise": text(100),
    "guidance_scale": real(0),
    "guidance_mode": text(100),
    "guidance_rescale": real(0, 1),
    "guidance_interval": list_of(real(0), 2),
    "image_guidance_scale": real(1),
    "noise_level": whole(0, 2**31),
    "cache": text(100),
    "cache_threshold": real(0),
    "strength": real(0, 1),
    "control_scale": list_of(real(0), 1000),
    "ip_adapter_scale": list_of(real(0), 1000),
    "long_prompt": flag,
    "prompt_weights": flag,
    "clip_skip": whole(0, 100),
    "safety_checker": flag,
    "vae_tiling": flag,
    "vae_tile": whole(1, MAX_SIDE),
    "rows_per_call": whole(1, 2**31),
    "sampler": mapping_of(_anything, 1000),
    "origin": mapping_of(text(64), 1000),
    "conditioning": mapping_of(text(64), 1000),
    "loras": LORA_LIST,
}


def check_recipe(values: Mapping[str, Any]) -> None:
    """Raise ConfigError for an entry of the wrong type or size. An entry may be missing."""
    check_json(values, _SCHEMA, "the recipe")
    for key in _SCHEMA.keys() & values.keys():
        if values[key] is None:
            raise ConfigError(f"the recipe: {key} must have a value, not null")
    if values.get("recipe_version", 1) > REAL_TIMESTEPS:
        raise ConfigError(
            f"the recipe has version {values['recipe_version']}, and this version of ddim-edge reads up to "
            f"{REAL_TIMESTEPS}: take a newer one"
        )
    if values.get("index", 0) >= values.get("num_images", MAX_IMAGES):
        raise ConfigError(f"the recipe: index must be below num_images {values['num_images']}, not {values['index']}")


def sampler_from_json(name: str = "ddim", **options: Any) -> SamplerConfig:
    """The sampler of a recipe; ConfigError for an unknown one."""
    if name not in SAMPLERS:
        raise unknown_value("sampler", name, SAMPLERS)
    return SAMPLERS[name]().replace(**options)
