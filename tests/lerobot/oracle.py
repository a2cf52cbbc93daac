"""Saves LeRobot's diffusion policies with random weights, and records what they do. Runs in a process of its own.

LeRobot's own code runs unmodified: configs, policy, processors. Modules stand in for the packages that they import and
do not use here.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

_STANDINS = ("accelerate", "datasets", "lerobot.datasets", "lerobot.configs.train", "lerobot.utils.io_utils")
_BARE = ("lerobot", "lerobot.policies", "lerobot.policies.diffusion", "lerobot.processor", "lerobot.configs")
"""Packages whose __init__ imports far more than is needed."""
_PROCESSORS = ("core", "pipeline", "rename_processor", "batch_processor", "device_processor", "normalize_processor")
_OPERATORS = torch.library.Library("torchvision", "DEF")


class _Standin(types.ModuleType):
    """A module in which every name is an empty class."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__class_getitem__": classmethod(lambda cls, _item: cls)})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, *_: Any) -> Any:
        wanted = any(name == one or name.startswith(f"{one}.") for one in _STANDINS)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if wanted else None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Standin(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to run."""


def prepare(folder: Path) -> None:
    """Make LeRobot in ``folder`` importable."""
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, _Finder())
    for name in _BARE:
        module = types.ModuleType(name)
        module.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = module
    # torchvision's own library of operators is for another build of PyTorch; its ResNets need none of them.
    for name in ("nms", "qnms"):
        _OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for part in _PROCESSORS:
        module = importlib.import_module(f"lerobot.processor.{part}")
        vars(sys.modules["lerobot.processor"]).update(
            {name: value for name, value in vars(module).items() if name[0] != "_"}
        )


_STATE, _GOAL = ("observation.state", "STATE", (3,)), ("observation.environment_state", "ENV", (2,))
_TOP, _WRIST = (
    ("observation.images.top", "VISUAL", (3, 40, 48)),
    ("observation.images.wrist_left", "VISUAL", (3, 40, 48)),
)
_SMALL: dict[str, Any] = {
    "device": "cpu",
    "horizon": 8,
    "n_action_steps": 4,
    "down_dims": (16, 32),
    "diffusion_step_embed_dim": 16,
    "spatial_softmax_num_keypoints": 4,
    "num_inference_steps": 10,
}
CASES: dict[str, tuple[Sequence[tuple[str, str, tuple[int, ...]]], dict[str, Any]]] = {
    "ddim": ((_STATE, _GOAL), {"noise_scheduler_type": "DDIM"}),
    "ddpm": ((_GOAL, _STATE), {"n_obs_steps": 1, "num_inference_steps": None}),
    "ddim-sample": ((_STATE, _GOAL), {"noise_scheduler_type": "DDIM", "prediction_type": "sample"}),
    "ddpm-sample-bias": (
        (_STATE, _GOAL),
        {"prediction_type": "sample", "use_film_scale_modulation": False, "down_dims": (8, 16, 16), "kernel_size": 3},
    ),
    "cameras": ((_STATE, _TOP, _WRIST), {"noise_scheduler_type": "DDIM", "crop_shape": (35, 41)}),
    "cameras-apart": (
        (_WRIST, _STATE, _TOP, _GOAL),
        {"use_separate_rgb_encoder_per_camera": True, "use_group_norm": False, "vision_backbone": "resnet34"},
    ),
}


def _statistics(features: Sequence[tuple[str, str, tuple[int, ...]]]) -> dict[str, dict[str, Any]]:
    random = np.random.default_rng(7)
    found = {}
    for name, kind, shape in (*features, ("action", "ACTION", (2,))):
        size = (shape[0], 1, 1) if kind == "VISUAL" else shape
        mean, std = random.normal(size=size), random.uniform(0.5, 2, size)
        found[name] = {"mean": mean, "std": std, "min": mean - 2 * std, "max": mean + 3 * std}
    return found


def _save(folder: Path, features: Sequence[tuple[str, str, tuple[int, ...]]], changes: dict[str, Any]) -> None:
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.diffusion.processor_diffusion import make_diffusion_pre_post_processors

    inputs = {name: PolicyFeature(FeatureType(kind), shape) for name, kind, shape in features}
    outputs = {"action": PolicyFeature(FeatureType.ACTION, (2,))}
    torch.manual_seed(0)
    config = DiffusionConfig(input_features=inputs, output_features=outputs, **{**_SMALL, **changes})
    policy = DiffusionPolicy(config).eval()
    before, after = make_diffusion_pre_post_processors(config, _statistics(features))
    (folder / "policy").mkdir(parents=True)
    policy._save_pretrained(folder / "policy")
    before.save_pretrained(folder / "policy")
    after.save_pretrained(folder / "policy")
    np.savez(folder / "record.npz", **recorded(policy, before, after, features))


def recorded(
    policy: Any, before: Any, after: Any, features: Sequence[tuple[str, str, tuple[int, ...]]]
) -> dict[str, Any]:
    """Two observations, and for the decision that follows them: conditioning, noise, each step, and the actions."""
    record: dict[str, Any] = {}
    random = np.random.default_rng(1)
    steps: list[tuple[Any, ...]] = []
    scheduler, model = policy.diffusion.noise_scheduler, policy.diffusion
    take_step, prepare = scheduler.step, model._prepare_global_conditioning

    def step(prediction: Any, timestep: Any, sample: Any, **options: Any) -> Any:
        result = take_step(prediction, timestep, sample, **options)
        steps.append((sample, timestep, prediction, result.prev_sample))
        return result

    scheduler.step = step
    model._prepare_global_conditioning = lambda batch: record.setdefault("condition", prepare(batch))
    draws = _recorded_noise()
    noise = torch.randn(1, policy.config.horizon, 2)
    for at in range(2):
        seen = {name: random.uniform(0, 1, shape).astype(np.float32) for name, _, shape in features}
        record |= {f"seen.{at}.{name}": value for name, value in seen.items()}
        batch = before({name: torch.from_numpy(value) for name, value in seen.items()})
        if at == 0:
            _fill(policy, batch)
    actions = _decide(policy, batch, noise)
    samples, timesteps, predictions, results = zip(*steps, strict=True)
    record |= {"noise": noise, "samples": torch.stack(samples), "timesteps": np.array([int(one) for one in timesteps])}
    record |= {"predictions": torch.stack(predictions), "results": torch.stack(results)}
    record |= {"draws": torch.stack(draws) if draws else np.zeros(0), "actions": after(actions)}
    return {name: np.asarray(value) for name, value in record.items()}


def _recorded_noise() -> list[Any]:
    """The noise that DDPM draws at its steps."""
    from diffusers.schedulers import scheduling_ddpm

    draws: list[Any] = []
    draw = scheduling_ddpm.randn_tensor

    def recording(*arguments: Any, **options: Any) -> Any:
        draws.append(draw(*arguments, **options))
        return draws[-1]

    scheduling_ddpm.randn_tensor = recording
    return draws


def _fill(policy: Any, batch: dict[str, Any]) -> None:
    """Give an observation to the policy's queues, as select_action does, and decide nothing."""
    from lerobot.policies.utils import populate_queues

    policy._queues = populate_queues(policy._queues, _stacked(policy, batch))


def _decide(policy: Any, batch: dict[str, Any], noise: Any) -> Any:
    _fill(policy, batch)
    with torch.no_grad():
        return policy.predict_action_chunk(_stacked(policy, batch), noise=noise)[0]


def _stacked(policy: Any, batch: dict[str, Any]) -> dict[str, Any]:
    batch = {name: value for name, value in batch.items() if name.startswith("observation")}
    if policy.config.image_features:
        images = [batch[name] for name in policy.config.image_features]
        batch["observation.images"] = torch.stack(images, dim=-4)
    return batch


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
    for case, (case_features, case_changes) in CASES.items():
        _save(Path(sys.argv[2]) / case, case_features, case_changes)
