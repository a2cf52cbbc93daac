"""The keys and values of diffusers' scheduler files, mapped once to this project's own words."""

import difflib
from collections.abc import Mapping, Set
from typing import Any

from .errors import ConfigError, choose_from

_FIELDS: Mapping[str, str] = {
    "num_train_timesteps": "num_train_steps",
    "beta_schedule": "beta_schedule",
    "beta_start": "beta_start",
    "beta_end": "beta_end",
    "trained_betas": "trained_betas",
    "prediction_type": "prediction_type",
    "set_alpha_to_one": "alpha_clip_strategy",
    "steps_offset": "timesteps_offset",
    "timestep_spacing": "timestep_spacing",
    "clip_sample": "clip_denoised_sample",
    "clip_sample_range": "clip_range",
    "sample_max_value": "dynamic_threshold_max",
    "rescale_betas_zero_snr": "zero_terminal_snr",
    # Not in diffusers' files, where they are arguments of step(); a bundle may fix them under our own names.
    "eta": "eta",
    "rederive_noise": "rederive_noise",
    "use_clipped_model_output": "rederive_noise",
    "transition": "transition",
    "large_variance": "large_variance",
}

_VALUES: Mapping[str, Mapping[Any, Any]] = {
    "beta_schedule": {"linear": "linear", "scaled_linear": "quadratic", "squaredcos_cap_v2": "squared_cosine"},
    "prediction_type": {"epsilon": "noise", "v_prediction": "angular_velocity", "sample": "sample"},
    "set_alpha_to_one": {True: "one", False: "alpha_zero"},
}

_THRESHOLDING: Mapping[str, str] = {
    "thresholding": "thresholding",
    "dynamic_thresholding_ratio": "dynamic_threshold_ratio",
}

_OF_OTHER_SCHEDULERS = ("timestep_scaling",)
"""Keys of other schedulers that look like a misspelt one of ours."""


def fields_from_diffusers(keys: Mapping[str, Any], valid: Set[str]) -> dict[str, Any]:
    """Translate a scheduler file into the config fields among ``valid``; keys of no concern are left out.

    Raises ConfigError naming the key for a value without a counterpart here and for a key that looks misspelt.
    """
    fields: dict[str, Any] = {}
    for key, value in keys.items():
        field = _FIELDS.get(key)
        if field is None:
            _refuse_misspelt(key)
        elif field in valid:
            fields[field] = _translate(key, value)
    if "dynamic_threshold_ratio" in valid:
        fields |= _thresholding(keys)
    return fields


def _thresholding(keys: Mapping[str, Any]) -> dict[str, Any]:
    wanted = keys.get("thresholding", False)
    if not isinstance(wanted, bool):
        raise ConfigError(f"thresholding must be true or false, not {wanted!r}")
    ratio = keys.get("dynamic_thresholding_ratio")
    return {"dynamic_threshold_ratio": 0.995 if ratio is None else ratio} if wanted else {}


def in_diffusers_words(message: str) -> str:
    """Let a message that begins with a config field begin with the key that stands in the file."""
    for key, field in {**_FIELDS, **_THRESHOLDING}.items():
        if message.startswith(f"{field} "):
            return key + message.removeprefix(field)
    return message


def _translate(key: str, value: Any) -> Any:
    if key not in _VALUES:
        return value
    for theirs, ours in _VALUES[key].items():
        if value == theirs:
            return ours
    raise ConfigError(choose_from(key, value, map(str, _VALUES[key])))


def _refuse_misspelt(key: str) -> None:
    """Refuse a key that is nearly one of ours, or is a field's name where the file has a key of its own for it."""
    by_field = {field: name for name, field in {**_FIELDS, **_THRESHOLDING}.items()}
    known = [*_FIELDS, *_THRESHOLDING]
    if key in known or key in _OF_OTHER_SCHEDULERS:
        return
    nearest = [by_field[key]] if key in by_field else difflib.get_close_matches(key, known, n=1, cutoff=0.85)
    if nearest:
        raise ConfigError(f"key {key!r} is unknown. Did you mean {nearest[0]!r}?")
