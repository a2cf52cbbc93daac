"""Folders as LeRobot 0.4 saves a diffusion policy: config.json, model.safetensors, and its processors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from . import faster_export  # noqa: F401
from .tiny_bundles import write_json

STATE, GOAL, IMAGE = "observation.state", "observation.environment_state", "observation.image"
CONFIG: dict[str, Any] = {
    "type": "diffusion",
    "n_obs_steps": 2,
    "input_features": {STATE: {"type": "STATE", "shape": [3]}, GOAL: {"type": "ENV", "shape": [2]}},
    "output_features": {"action": {"type": "ACTION", "shape": [2]}},
    "device": "cpu",
    "normalization_mapping": {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ENV": "MIN_MAX", "ACTION": "MIN_MAX"},
    "horizon": 8,
    "n_action_steps": 4,
    "vision_backbone": "resnet18",
    "crop_shape": None,
    "crop_is_random": True,
    "pretrained_backbone_weights": None,
    "use_group_norm": True,
    "spatial_softmax_num_keypoints": 4,
    "use_separate_rgb_encoder_per_camera": False,
    "down_dims": [16, 32],
    "kernel_size": 5,
    "n_groups": 8,
    "diffusion_step_embed_dim": 16,
    "use_film_scale_modulation": True,
    "noise_scheduler_type": "DDIM",
    "num_train_timesteps": 100,
    "beta_schedule": "squaredcos_cap_v2",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "prediction_type": "epsilon",
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "num_inference_steps": 10,
}
"""The keys that are read here, and some that are not."""
WITH_IMAGES: dict[str, Any] = {
    "input_features": {
        STATE: {"type": "STATE", "shape": [3]},
        "observation.images.top": {"type": "VISUAL", "shape": [3, 40, 48]},
        "observation.images.wrist": {"type": "VISUAL", "shape": [3, 40, 48]},
    },
    "crop_shape": [36, 41],
}
"""What two cameras change."""
STATISTICS: dict[str, dict[str, list[Any]]] = {
    STATE: {"mean": [1, 2, 3], "std": [0.5, 1, 2], "min": [0, -1, -3], "max": [2, 5, 9]},
    GOAL: {"mean": [2, 0], "std": [1, 0.5], "min": [0, -1], "max": [4, 1]},
    "action": {"mean": [0, 20], "std": [1, 5], "min": [-2, 10], "max": [2, 30]},
}
_PIXELS = {"mean": [[[0.5]], [[0.4]], [[0.3]]], "std": [[[0.2]], [[0.3]], [[0.25]]]}
_STEP = "policy_{}_step_{}_{}.safetensors"


def config(**changes: Any) -> dict[str, Any]:
    """The contents of config.json."""
    return {**CONFIG, **changes}


def statistics(keys: Mapping[str, Any]) -> dict[str, Tensor]:
    """The statistics of a config's features by "NAME.STATISTIC", as a normalizer's state has them."""
    features = {**keys["input_features"], **keys["output_features"]}
    return {
        f"{name}.{key}": torch.tensor(value, dtype=torch.float32)
        for name in features
        for key, value in STATISTICS.get(name, _PIXELS).items()
    }


def write_folder(folder: Path, keys: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Path:
    """Write a policy with these weights, which have LeRobot's names. Returns ``folder``."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", dict(keys))
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    settings = {"eps": 1e-8, "norm_map": keys["normalization_mapping"]}
    _write_processor(folder, "preprocessor", 3, "normalizer_processor", settings, keys)
    _write_processor(folder, "postprocessor", 0, "unnormalizer_processor", settings, keys)
    return folder


def _write_processor(
    folder: Path, name: str, at: int, normalizer: str, settings: dict[str, Any], keys: Mapping[str, Any]
) -> None:
    file = _STEP.format(name, at, normalizer)
    save_file(statistics(keys), folder / file)
    step = {"registry_name": normalizer, "config": settings, "state_file": file}
    before = [
        {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
        {"registry_name": "to_batch_processor", "config": {}},
        {"registry_name": "device_processor", "config": {"device": "cpu"}},
    ]
    steps = [*before, step] if at else [step, before[-1]]
    write_json(folder / f"policy_{name}.json", {"name": f"policy_{name}", "steps": steps})
