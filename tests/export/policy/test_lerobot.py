"""LeRobot's diffusion policies, exported and run: beside the same networks in PyTorch, with diffusers' schedulers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import ddim_edge
from ddim_edge.errors import ConfigError
from ddim_edge_export import export_policy
from ddim_edge_export.policy.encoder import PolicyEncoder
from ddim_edge_export.policy.lerobot_config import LerobotConfig
from ddim_edge_export.policy.lerobot_statistics import is_statistic, normalizations
from ddim_edge_export.policy.unet1d import ConditionalUnet1d
from tests.helpers.command_line import Invoke
from tests.helpers.lerobot_folders import GOAL, STATE, STATISTICS, WITH_IMAGES, config, statistics, write_folder
from tests.helpers.tiny_bundles import Array, write_json

pytestmark = pytest.mark.slow
Diffusers: Any = diffusers


def networks(keys: Mapping[str, Any]) -> tuple[PolicyEncoder, ConditionalUnet1d]:
    """Encoder and denoiser with random weights."""
    read = LerobotConfig(keys)
    torch.manual_seed(0)
    environment = GOAL if GOAL in keys["input_features"] else None
    encoder = PolicyEncoder(STATE, read.cameras, environment, read.camera_config)
    return encoder.eval(), ConditionalUnet1d(read.unet).eval()


def write(folder: Path, keys: Mapping[str, Any]) -> Path:
    encoder, unet = networks(keys)
    parts = {**encoder.state_dict(), **{f"unet.{name}": value for name, value in unet.state_dict().items()}}
    return write_folder(folder, keys, {f"diffusion.{name}": value for name, value in parts.items()})


def by_torch(keys: Mapping[str, Any], windows: Mapping[str, Array], seed: int) -> Array:
    """The actions of windows of normalized observations, (n_obs_steps, …) by name, as LeRobot makes them."""
    encoder, unet = networks(keys)
    names = LerobotConfig(keys).scheduler.keys() & keys.keys() - {"num_inference_steps"}
    scheduler = Diffusers.DDIMScheduler(**{name: keys[name] for name in names})
    scheduler.set_timesteps(keys["num_inference_steps"])
    noise = np.random.Generator(np.random.Philox(key=[seed, 0]))
    sample = torch.from_numpy(noise.standard_normal((1, 8, 2), np.float32))
    with torch.no_grad():
        condition = encoder({name: torch.from_numpy(value)[None] for name, value in windows.items()})
        for timestep in scheduler.timesteps:
            prediction = unet(sample, torch.full((1,), float(timestep)), condition)
            sample = scheduler.step(prediction, timestep, sample).prev_sample
    low, high = (np.array(STATISTICS["action"][key], np.float32) for key in ("min", "max"))
    chunk: Array = (sample[0].numpy() + np.float32(1)) / np.float32(2) * (high - low) + low
    return chunk[1:5]


def seen(keys: Mapping[str, Any], seed: int = 0) -> dict[str, Array]:
    """A random observation within the range of the statistics; images in [0, 1]."""
    random = np.random.default_rng(seed)
    return {
        name: random.uniform(0, 1, entry["shape"]).astype(np.float32) for name, entry in keys["input_features"].items()
    }


def normalized(keys: Mapping[str, Any], observation: Mapping[str, Array]) -> dict[str, Array]:
    found = {name: value.numpy() for name, value in statistics(keys).items()}
    result = {}
    for name, value in observation.items():
        if keys["input_features"][name]["type"] == "VISUAL":
            result[name] = (value - found[f"{name}.mean"]) / (found[f"{name}.std"] + np.float32(1e-8))
        else:
            low, high = found[f"{name}.min"], found[f"{name}.max"]
            result[name] = 2 * (value - low) / (high - low) - 1
    return result


def assert_acts_as_pytorch(bundle: Path, keys: Mapping[str, Any]) -> None:
    """The actions after two observations are those of the networks in PyTorch with diffusers' scheduler."""
    policy = ddim_edge.load_policy(bundle, "cpu", warm_up=False, seed=3, range_factor=1e3)
    first, second = seen(keys, 1), seen(keys, 2)
    policy.observe(first)
    window = zip(*(normalized(keys, one).items() for one in (first, second)), strict=True)
    expected = by_torch(keys, {name: np.stack([old, new]) for (name, old), (_, new) in window}, seed=3)
    np.testing.assert_allclose(policy.act(second), expected, atol=2e-3)


def test_the_command_line_exports_a_policy_that_acts_as_pytorch_does(invoke: Invoke, tmp_path: Path) -> None:
    write(tmp_path / "lerobot", config())
    done = invoke("export", "lerobot", "out", "--json")
    assert done.code == 0
    facts = json.loads(done.out)["components"]
    assert set(facts) == {"encoder", "unet"}
    assert max(component["deviation"] for component in facts.values()) <= 1e-4
    assert_acts_as_pytorch(tmp_path / "out", config())
    inspected = invoke("inspect", "out", "--verify")
    assert (inspected.code, inspected.err) == (0, "")


def test_each_camera_has_its_features_behind_the_state() -> None:
    """With weights of their own; tests/lerobot has the values."""
    keys = config(**WITH_IMAGES, use_separate_rgb_encoder_per_camera=True)
    encoder, _ = networks(keys)
    first, second = (
        {name: torch.from_numpy(value)[None, None] for name, value in seen(keys, at).items()} for at in (1, 2)
    )
    names = list(keys["input_features"])
    with torch.no_grad():
        before, after = encoder(first), encoder({**first, names[2]: second[names[2]]})
    assert before.shape == (1, 3 + 2 * 8)
    np.testing.assert_array_equal(before[0, :3], first[STATE][0, 0])
    assert torch.equal(before[:, :11], after[:, :11])
    assert not torch.equal(before[:, 11:], after[:, 11:])


def test_options_that_mean_nothing_for_a_policy_are_refused(invoke: Invoke, tmp_path: Path) -> None:
    write(tmp_path / "lerobot", config())
    refused = invoke("export", "lerobot", "out", "--dtype", "fp16")
    assert refused.code == 2
    assert "--dtype does not apply to a LeRobot policy, which SOURCE is: leave it out" in refused.err


def test_statistics_among_the_weights_of_older_versions() -> None:
    keys = config()
    weights = {}
    for name, value in statistics(keys).items():
        key, statistic = name.rsplit(".", 1)
        start = "unnormalize_outputs" if key == "action" else "normalize_inputs"
        weights[f"{start}.buffer_{key.replace('.', '_')}.{statistic}"] = value
    assert all(map(is_statistic, weights))
    found = normalizations(Path("nowhere"), LerobotConfig(keys), weights)
    assert found["action"] == {"mode": "min_max", **STATISTICS["action"]}
    assert found[GOAL] == {"mode": "min_max", **STATISTICS[GOAL]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "act"}, "LeRobot policy of type 'act', and diffusion is supported"),
        ({"down_dims": None}, "has no down_dims"),
        ({"horizon": "8"}, "horizon must be a whole number"),
        ({"noise_scheduler_type": "PNDM"}, "noise_scheduler_type 'PNDM' is unknown"),
        ({**WITH_IMAGES, "vision_backbone": "resnet50"}, "vision_backbone 'resnet50' is unknown"),
        ({**WITH_IMAGES, "resize_shape": [20, 20]}, "resize_shape is not supported"),
        ({**WITH_IMAGES, "crop_shape": [50, 20]}, "does not fit into images"),
        ({"input_features": {GOAL: {"type": "ENV", "shape": [2]}}}, "must have observation.state"),
        ({"kernel_size": 3}, "the weights do not fit config.json's ConditionalUnet1d"),
        ({"normalization_mapping": {"STATE": "QUANTILES", "ACTION": "MIN_MAX"}}, "'QUANTILES' is unknown"),
    ],
)
def test_what_is_not_supported_is_named_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = write(tmp_path / "lerobot", config())
    write_json(folder / "config.json", config(**changes))
    if "normalization_mapping" in changes:
        for file in folder.glob("policy_*.json"):
            file.unlink()
    with pytest.raises(ConfigError, match=message):
        export_policy(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_processor_that_does_something_else_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "lerobot", config())
    write_json(folder / "policy_postprocessor.json", {"steps": [{"registry_name": "delta_action_processor"}]})
    with pytest.raises(ConfigError, match="the step 'delta_action_processor' is not supported"):
        export_policy(folder, tmp_path / "out")


def test_missing_statistics_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "lerobot", config())
    for file in folder.glob("policy_*"):
        file.unlink()
    with pytest.raises(ConfigError, match=r"has no min of observation\.state, which MIN_MAX needs"):
        export_policy(folder, tmp_path / "out")
