"""Saving: the trained policy as a folder that LeRobot opens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file as save_statistics
from safetensors.torch import save_file as save_weights
from torch import nn

from ddim_edge.arrays import Array
from ddim_edge.bundle.policy_statistics import Statistics
from ddim_edge_export.output.record import write_json
from ddim_edge_export.policy.lerobot_config import LerobotConfig

from .demonstrations import HORIZON, N_OBS_STEPS, Demonstrations
from .maze import GOAL, STATE
from .train import DIFFUSION, NUM_TRAIN_STEPS

N_ACTION_STEPS = 8
NORMALIZATION = {"STATE": "MIN_MAX", "ENV": "MIN_MAX", "ACTION": "MIN_MAX"}
CONFIG = LerobotConfig(
    {
        "type": "diffusion",
        "n_obs_steps": N_OBS_STEPS,
        "horizon": HORIZON,
        "n_action_steps": N_ACTION_STEPS,
        "input_features": {STATE: {"type": "STATE", "shape": [4]}, GOAL: {"type": "ENV", "shape": [2]}},
        "output_features": {"action": {"type": "ACTION", "shape": [2]}},
        "normalization_mapping": NORMALIZATION,
        "device": "cpu",
        "vision_backbone": "resnet18",
        "crop_shape": None,
        "use_group_norm": True,
        "spatial_softmax_num_keypoints": 32,
        "use_separate_rgb_encoder_per_camera": False,
        "down_dims": [64, 128],
        "kernel_size": 5,
        "n_groups": 8,
        "diffusion_step_embed_dim": 64,
        "use_film_scale_modulation": True,
        "noise_scheduler_type": "DDIM",
        "num_train_timesteps": NUM_TRAIN_STEPS,
        "beta_schedule": "squaredcos_cap_v2",
        "beta_start": DIFFUSION.beta_start,
        "beta_end": DIFFUSION.beta_end,
        "prediction_type": "sample",
        "clip_sample": True,
        "clip_sample_range": 1.0,
        "num_inference_steps": 8,
    }
)
"""LeRobot's config.json, with a UNet of a million parameters; the keys of images have no effect."""

_NAMES = {"states": STATE, "goals": GOAL, "chunks": "action"}


def statistics_of(shown: Demonstrations) -> dict[str, Statistics]:
    """Minimum and maximum of states, goals and chunks, over all windows and times."""
    return {
        name: Statistics.read({"mode": "min_max", **_range(values)}, values.shape[-1:], name)
        for name, values in shown._asdict().items()
    }


def _range(values: Array) -> dict[str, Array]:
    return {"min": values.min(axis=(0, 1)).tolist(), "max": values.max(axis=(0, 1)).tolist()}


def save_lerobot(unet: nn.Module, statistics: Mapping[str, Statistics], folder: Path) -> None:
    """Write config.json, model.safetensors, and the processors with the statistics."""
    write_json(folder / "config.json", dict(CONFIG.keys))
    weights = {f"diffusion.unet.{name}": value.contiguous() for name, value in unet.state_dict().items()}
    save_weights(weights, folder / "model.safetensors")
    values = {
        f"{_NAMES[name]}.{key}": np.asarray(value, np.float32)
        for name, found in statistics.items()
        for key, value in zip(("min", "max"), found.values, strict=True)
    }
    to_batch = {"registry_name": "to_batch_processor", "config": {}}
    _save_processor(folder, "preprocessor", [to_batch], "normalizer_processor", values)
    _save_processor(folder, "postprocessor", [], "unnormalizer_processor", values)


def _save_processor(
    folder: Path, name: str, before: list[dict[str, Any]], normalizer: str, values: Mapping[str, Array]
) -> None:
    file = f"policy_{name}_step_{len(before)}_{normalizer}.safetensors"
    save_statistics(dict(values), folder / file)
    features = {key: CONFIG.keys[key] for key in ("input_features", "output_features")}
    settings = {"eps": 1e-8, "features": features["input_features"] | features["output_features"]}
    step = {"registry_name": normalizer, "config": {**settings, "norm_map": NORMALIZATION}, "state_file": file}
    write_json(folder / f"policy_{name}.json", {"name": f"policy_{name}", "steps": [*before, step]})
