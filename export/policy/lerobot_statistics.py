"""LeRobot's normalizer statistics, as the entries ``normalization`` of policy.json.

Since LeRobot 0.4 they are in a processor's file beside the model: policy_preprocessor.json names it, and for actions
policy_postprocessor.json. Before, they were among the weights.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError, choose_from, shown

from .lerobot_config import ACTION, Feature, LerobotConfig

Found = Mapping[str, Any]
"""Statistics by "NAME.STATISTIC", such as "action.max": arrays."""

_MODES: Mapping[str, str] = {"MEAN_STD": "mean_std", "MIN_MAX": "min_max", "IDENTITY": "identity"}
_STATISTICS = ("mean", "std", "min", "max")
_NEEDED: Mapping[str, tuple[str, ...]] = {"mean_std": ("mean", "std"), "min_max": ("min", "max"), "identity": ()}
_PRE, _POST = "policy_preprocessor.json", "policy_postprocessor.json"
_NORMALIZER = {_PRE: "normalizer_processor", _POST: "unnormalizer_processor"}
_HARMLESS = {"rename_observations_processor", "to_batch_processor", "device_processor"}
_EPSILON = 1e-8
_IN_WEIGHTS = ("normalize_inputs.buffer_", "normalize_targets.buffer_", "unnormalize_outputs.buffer_")


def is_statistic(weight: str) -> bool:
    """Whether the name of a weight is that of a statistic."""
    return weight.startswith(_IN_WEIGHTS)


def normalizations(folder: Path, config: LerobotConfig, weights: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """The entry of each observation and of "action". Raises ConfigError where one is missing, or not supported."""
    observed = _from_processor(folder, _PRE, config)
    acted = _from_processor(folder, _POST, config) if observed is not None else None
    if observed is None or acted is None:
        mapping = config.keys["normalization_mapping"]
        in_weights = _from_weights(weights, (*config.observations, ACTION))
        observed, acted = observed or (mapping, in_weights), acted or (mapping, in_weights)
    entries = {name: _entry(name, feature, *observed) for name, feature in config.observations.items()}
    return {**entries, ACTION: _entry(ACTION, config.action, *acted)}


def _entry(name: str, feature: Feature, mapping: Mapping[str, str], found: Found) -> dict[str, Any]:
    kind = mapping.get(feature.kind, "IDENTITY")
    if kind not in _MODES:
        raise ConfigError(choose_from(f"the normalization of {feature.kind}", kind, _MODES))
    mode = _MODES[kind]
    values = {key: found[f"{name}.{key}"].tolist() for key in _STATISTICS if f"{name}.{key}" in found}
    missing = [key for key in _NEEDED[mode] if key not in values]
    if missing:
        raise ConfigError(
            f"the policy has no {missing[0]} of {name}, which {kind} needs: save its processors beside it"
        )
    return {"mode": mode, **values}


def _from_processor(folder: Path, file: str, config: LerobotConfig) -> tuple[Mapping[str, str], Found] | None:
    """The normalization of each type, and the statistics, of a processor; None where there is no such file."""
    path = folder / file
    if not path.exists():
        return None
    step = _normalizer_of(path)
    settings = step.get("config") or {}
    if settings.get("eps", _EPSILON) != _EPSILON:
        raise ConfigError(f"{path}: eps must be {_EPSILON}, not {shown(settings.get('eps'))}")
    mapping = settings.get("norm_map") or config.keys["normalization_mapping"]
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{path}: norm_map must be an object, not {shown(mapping)}")
    return mapping, _read(folder, step.get("state_file"), path)


def _normalizer_of(path: Path) -> Mapping[str, Any]:
    """The normalizer among the steps of a processor. ConfigError for a step that changes values in another way."""
    steps = read_json(path).get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, Mapping) for step in steps):
        raise ConfigError(f"{path} has no list of steps: it is no processor of LeRobot")
    found: Mapping[str, Any] = {}
    for step in steps:
        name = step.get("registry_name")
        if name == _NORMALIZER[path.name] and not found:
            found = step
        elif name not in _HARMLESS or (step.get("config") or {}).get("rename_map"):
            raise ConfigError(f"{path}: the step {shown(name)} is not supported: do what it does before ddim-edge")
    return found


def _read(folder: Path, name: Any, path: Path) -> Found:
    if name is None:
        return {}
    if not isinstance(name, str) or Path(name).name != name:
        raise ConfigError(f"{path} names {shown(name)}, which is not a file beside it")
    try:
        return dict(load_file(folder / name))
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot read {folder / name}: {error}. Copy the policy again") from None


def _from_weights(weights: Mapping[str, Tensor], names: Iterable[str]) -> Found:
    """The statistics among the weights, where the dots of names are underscores."""
    return {
        f"{name}.{statistic}": weights[f"{start}{name.replace('.', '_')}.{statistic}"]
        for name in names
        for statistic in _STATISTICS
        for start in _IN_WEIGHTS
        if f"{start}{name.replace('.', '_')}.{statistic}" in weights
    }
