"""Saves a policy as LeRobot does, so that it is exported like any other."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ddim_edge_export.output.record import write_json
from ddim_edge_export.policy.unet1d import ConditionalUnet1d

from .data import ACTION, HORIZON, N_ACTION_STEPS, N_OBS_STEPS, Statistics
from .maze import GOAL, STATE
from .train import DIFFUSION, UNET

_MODES = {"STATE": "MIN_MAX", "ENV": "MIN_MAX", "ACTION": "MIN_MAX"}


def save_policy(folder: Path, unet: ConditionalUnet1d, statistics: Statistics, **changes: Any) -> None:
    """Write config.json, model.safetensors and the processors to ``folder``; ``changes`` are keys of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {**_config(), **changes})
    weights = {f"diffusion.unet.{name}": value.contiguous() for name, value in unet.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    values = {
        f"{name}.{key}": torch.from_numpy(value) for name, found in statistics.items() for key, value in found.items()
    }
    for processor, normalizer in (
        ("preprocessor", "normalizer_processor"),
        ("postprocessor", "unnormalizer_processor"),
    ):
        file = f"policy_{processor}_{normalizer}.safetensors"
        save_file(values, folder / file)
        step = {"registry_name": normalizer, "config": {"eps": 1e-8, "norm_map": _MODES}, "state_file": file}
        write_json(folder / f"policy_{processor}.json", {"name": f"policy_{processor}", "steps": [step]})


def _config() -> dict[str, Any]:
    sizes = dataclasses.asdict(UNET)
    return {
        "type": "diffusion",
        "n_obs_steps": N_OBS_STEPS,
        "horizon": HORIZON,
        "n_action_steps": N_ACTION_STEPS,
        "input_features": {STATE: {"type": "STATE", "shape": [4]}, GOAL: {"type": "ENV", "shape": [2]}},
        "output_features": {ACTION: {"type": "ACTION", "shape": [2]}},
        "normalization_mapping": _MODES,
        "vision_backbone": "resnet18",
        "use_group_norm": True,
        "spatial_softmax_num_keypoints": 32,
        "down_dims": sizes["down_dims"],
        "kernel_size": sizes["kernel_size"],
        "n_groups": sizes["n_groups"],
        "diffusion_step_embed_dim": sizes["step_embed_dim"],
        "use_film_scale_modulation": sizes["scales"],
        "noise_scheduler_type": "DDIM",
        "num_train_timesteps": DIFFUSION.num_train_steps,
        "beta_schedule": "squaredcos_cap_v2",
        "beta_start": DIFFUSION.beta_start,
        "beta_end": DIFFUSION.beta_end,
        "prediction_type": "epsilon",
        "clip_sample": True,
        "clip_sample_range": 1.0,
        "num_inference_steps": 8,
    }
