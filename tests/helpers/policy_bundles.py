"""Policies small enough to be computed by hand: the encoder flattens, the denoiser is that of ``array_bundles``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from .array_bundles import CONDITION, array_model, write_array_bundle
from .tiny_bundles import Array, write_json

STATE, GOAL = "observation.state", "observation.environment_state"
MEAN, STD = (1.0, 2.0, 3.0), (0.5, 1.0, 2.0)
LOW, HIGH = (0.0, -1.0), (4.0, 1.0)
ACTION_LOW, ACTION_HIGH = (-2.0, 10.0), (2.0, 30.0)
SCHEDULER = {"_class_name": "DDIMScheduler", "num_train_timesteps": 100, "num_inference_steps": 10}


def policy_json(**changes: Any) -> dict[str, Any]:
    """The contents of policy.json: 2 observations of 3 and 2 values, 8 actions of 2 values, 4 of them executed."""
    observations = {
        STATE: {"shape": [3], "normalization": {"mode": "mean_std", "mean": MEAN, "std": STD}},
        GOAL: {"shape": [2], "normalization": {"mode": "min_max", "min": LOW, "max": HIGH}},
    }
    normalization = {"mode": "min_max", "min": ACTION_LOW, "max": ACTION_HIGH}
    action = {"dim": 2, "names": ["x", "grip"], "units": "mm", "normalization": normalization}
    steps = {"n_obs_steps": 2, "horizon": 8, "n_action_steps": 4}
    return {**steps, "observations": observations, "action": action, **changes}


def encoder_model(observations: dict[str, Sequence[int]], n_obs_steps: int, output: str = CONDITION) -> onnx.ModelProto:
    """The graph that joins the observations of each time, and flattens them: (B, n_obs_steps · widths)."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n_obs_steps, *shape])
        for name, shape in observations.items()
    ]
    width = n_obs_steps * sum(shape[0] for shape in observations.values())
    made = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])
    nodes = [
        helper.make_node("Concat", list(observations), ["joined"], axis=2),
        helper.make_node("Flatten", ["joined"], [output], axis=1),
    ]
    graph = helper.make_graph(nodes, "encoder", inputs, [made])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_policy(
    folder: Path,
    *,
    policy: dict[str, Any] | None = None,
    scheduler: dict[str, Any] | None = None,
    unet: onnx.ModelProto | None = None,
    encoder: onnx.ModelProto | None = None,
) -> Path:
    """Write a policy; what is given is changed. Returns ``folder``."""
    write_array_bundle(folder, (8, 2), unet or array_model((8, 2), condition=10), scheduler=scheduler or SCHEDULER)
    write_json(folder / "policy.json", policy or policy_json())
    (folder / "encoder").mkdir()
    onnx.save(encoder or encoder_model({STATE: [3], GOAL: [2]}, 2), folder / "encoder" / "model.onnx")
    return folder


def observation(seed: int = 0) -> dict[str, Array]:
    """A random observation."""
    generator = np.random.default_rng(seed)
    return {
        STATE: generator.normal(MEAN, STD).astype(np.float32),
        GOAL: generator.uniform(LOW, HIGH).astype(np.float32),
    }


def encoded(window: Sequence[dict[str, Array]]) -> Array:
    """What the encoder returns for a window, the newest observation last: float32 (10,)."""
    parts = []
    for seen in window:
        low, high = np.float32(LOW), np.float32(HIGH)
        parts += [(seen[STATE] - np.float32(MEAN)) / np.float32(STD), 2 * (seen[GOAL] - low) / (high - low) - 1]
    return np.concatenate(parts).astype(np.float32)
