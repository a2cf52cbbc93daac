"""Records what LeRobot's own code decides with the weights of models/point-maze. Runs in a process of its own."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import torch

from ddim_edge.bundle.policy_config import PolicyConfig
from models.training.point_maze.saving import CONFIG
from tests.lerobot.oracle import prepare, recorded

_IN_GRAPH, _IN_LEROBOT = "network.", "diffusion.unet."


def _policy() -> Any:
    """LeRobot's policy of the recipe's config.json, with random weights."""
    from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

    keys: dict[str, Any] = {name: value for name, value in CONFIG.keys.items() if name != "type"}
    for part in ("input_features", "output_features"):
        keys[part] = {
            name: PolicyFeature(FeatureType(found["type"]), tuple(found["shape"])) for name, found in keys[part].items()
        }
    modes = keys["normalization_mapping"].items()
    keys["normalization_mapping"] = {name: NormalizationMode(mode) for name, mode in modes}
    return DiffusionPolicy(DiffusionConfig(**keys)).eval()


def _weights(graph: Path) -> dict[str, torch.Tensor]:
    """Those of a denoiser's graph, by LeRobot's names."""
    found = {value.name: onnx.numpy_helper.to_array(value) for value in onnx.load(graph).graph.initializer}
    return {
        _IN_LEROBOT + name.removeprefix(_IN_GRAPH): torch.from_numpy(np.array(value))
        for name, value in found.items()
        if name.startswith(_IN_GRAPH)
    }


def _statistics(config: PolicyConfig) -> dict[str, dict[str, Any]]:
    """Minimum and maximum of observations and actions."""
    normalized = {name: seen.normalization for name, seen in config.observations.items()} | {"action": config.action}
    return {
        name: {key: torch.tensor(value) for key, value in zip(("min", "max"), found.values, strict=True)}
        for name, found in normalized.items()
    }


def main(lerobot: Path, bundle: Path, out: Path) -> None:
    """Write the record of one decision, from two observations, to ``out``."""
    prepare(lerobot)
    from lerobot.policies.diffusion.processor_diffusion import make_diffusion_pre_post_processors

    policy, config = _policy(), PolicyConfig.read(bundle)
    policy.load_state_dict(_weights(bundle / "unet" / "model.onnx"), strict=True)
    before, after = make_diffusion_pre_post_processors(policy.config, _statistics(config))
    features = [(name, "", seen.shape) for name, seen in config.observations.items()]
    torch.manual_seed(0)
    np.savez(out, **recorded(policy, before, after, features))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
