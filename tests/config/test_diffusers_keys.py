"""A scheduler_config.json of diffusers becomes a config, or an error that names the key."""

import inspect
import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
from diffusers import DDIMScheduler

from ddim_edge import ConfigError, DdimConfig, sampler_config

_ALL_KEYS: dict[str, Any] = {
    "num_train_timesteps": 500,
    "beta_start": 0.0002,
    "beta_end": 0.03,
    "beta_schedule": "scaled_linear",
    "trained_betas": [0.01] * 500,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "thresholding": True,
    "dynamic_thresholding_ratio": 0.9,
    "clip_sample_range": 2.5,
    "sample_max_value": 1.5,
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
}

_ALL_FIELDS = DdimConfig(
    num_train_steps=500,
    beta_start=0.0002,
    beta_end=0.03,
    beta_schedule="quadratic",
    trained_betas=(0.01,) * 500,
    clip_denoised_sample=False,
    alpha_clip_strategy="alpha_zero",
    timesteps_offset=1,
    prediction_type="angular_velocity",
    dynamic_threshold_ratio=0.9,
    clip_range=2.5,
    dynamic_threshold_max=1.5,
    timestep_spacing="trailing",
    zero_terminal_snr=True,
)


def test_every_key_of_diffusers_has_its_field() -> None:
    assert set(_ALL_KEYS) == set(inspect.signature(DDIMScheduler.__init__).parameters) - {"self"}
    assert DdimConfig.from_json(_ALL_KEYS) == _ALL_FIELDS


def test_the_defaults_of_both_are_the_same() -> None:
    assert DdimConfig.from_json({}) == DdimConfig()
    assert DdimConfig.from_json(DDIMScheduler().config) == DdimConfig()


def test_a_file_that_diffusers_wrote_is_read(tmp_path: Path) -> None:
    DDIMScheduler(**_ALL_KEYS).save_pretrained(tmp_path)
    path = tmp_path / "scheduler_config.json"
    assert DdimConfig.from_json(path) == DdimConfig.from_json(str(path)) == sampler_config(path) == _ALL_FIELDS


@pytest.mark.parametrize(
    ("key", "theirs", "field", "ours"),
    [
        ("beta_schedule", "linear", "beta_schedule", "linear"),
        ("beta_schedule", "squaredcos_cap_v2", "beta_schedule", "squared_cosine"),
        ("prediction_type", "epsilon", "prediction_type", "noise"),
        ("prediction_type", "sample", "prediction_type", "sample"),
        ("set_alpha_to_one", True, "alpha_clip_strategy", "one"),
        ("use_clipped_model_output", True, "rederive_noise", True),
        ("rederive_noise", True, "rederive_noise", True),
        ("eta", 0.5, "eta", 0.5),
        ("transition", "next", "transition", "next"),
        ("timestep_spacing", "quadratic", "timestep_spacing", "quadratic"),
        ("thresholding", True, "dynamic_threshold_ratio", 0.995),
        ("dynamic_thresholding_ratio", 0.9, "dynamic_threshold_ratio", None),
    ],
)
def test_values_are_translated(key: str, theirs: Any, field: str, ours: Any) -> None:
    assert getattr(DdimConfig.from_json({key: theirs}), field) == ours


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"beta_schedule": "laplace"},
            r"^beta_schedule 'laplace' is known, but not built here. Built: .*scaled_linear, squaredcos_cap_v2",
        ),
        ({"beta_schedule": "scaled_linar"}, r"Did you mean 'scaled_linear'\?"),
        (
            {"prediction_type": "flow_prediction"},
            r"^prediction_type 'flow_prediction' is known, but not built here. Built: epsilon",
        ),
        ({"prediction_type": ["epsilon"]}, r"^prediction_type \['epsilon'\] is unknown"),
        ({"timestep_spacing": "karras"}, r"^timestep_spacing 'karras' is unknown"),
        ({"set_alpha_to_one": "yes"}, r"^set_alpha_to_one 'yes' is unknown. Valid: True, False"),
        ({"num_train_timesteps": 0}, r"^num_train_timesteps must be from 1 to 100000, not 0"),
        ({"steps_offset": 1000}, r"^steps_offset must be from 0 to 999"),
        ({"clip_sample": "no"}, r"^clip_sample must be true or false"),
        ({"clip_sample_range": None}, r"^clip_sample_range must be a finite number, not None"),
        ({"rescale_betas_zero_snr": 1}, r"^rescale_betas_zero_snr must be true or false"),
        ({"thresholding": "false"}, r"^thresholding must be true or false, not 'false'"),
        ({"thresholding": True, "dynamic_thresholding_ratio": 2}, r"^dynamic_thresholding_ratio must be a number"),
        ({"sample_max_value": 0.5}, r"^sample_max_value must be a number from 1 to 1e\+06"),
        ({"trained_betas": [0.1]}, r"^trained_betas has 1 values"),
        ({"eta": -1}, r"^eta must be a number"),
    ],
)
def test_a_value_that_cannot_be_honoured_names_its_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DdimConfig.from_json(keys)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("num_train_timestep", "num_train_timesteps"),
        ("beta_shedule", "beta_schedule"),
        ("predicton_type", "prediction_type"),
        ("clip_samples", "clip_sample"),
        ("step_offset", "steps_offset"),
        ("tresholding", "thresholding"),
        ("num_train_steps", "num_train_timesteps"),
        ("clip_range", "clip_sample_range"),
        ("clip_denoised_sample", "clip_sample"),
        ("alpha_clip_strategy", "set_alpha_to_one"),
        ("zero_terminal_snr", "rescale_betas_zero_snr"),
        ("dynamic_threshold_ratio", "dynamic_thresholding_ratio"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"key '{key}' is unknown\. Did you mean '{meant}'\?"):
        DdimConfig.from_json({key: 1})


def test_keys_of_no_concern_are_ignored() -> None:
    keys = {
        "_class_name": "DDIMScheduler",
        "_diffusers_version": "0.42.0",
        "solver_order": 2,
        "use_karras_sigmas": True,
    }
    assert DdimConfig.from_json(keys) == DdimConfig()


def test_no_key_of_any_scheduler_of_diffusers_passes_for_a_misspelling() -> None:
    names = {name for name in dir(diffusers) if name.endswith("Scheduler") and not name.startswith("Flax")}
    assert len(names) > 20
    # BlockRefinementScheduler is for text; its `threshold` is here a misspelt `thresholding`.
    for name in names - {"BlockRefinementScheduler"}:
        for key in inspect.signature(getattr(diffusers, name).__init__).parameters:
            assert "Did you mean" not in refusal({key: None}), f"{name}: {key}"


def refusal(keys: dict[str, Any]) -> str:
    """What the error says; nothing where there is none."""
    try:
        DdimConfig.from_json(keys)
    except ConfigError as error:
        return str(error)
    return ""


def test_broken_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    path.write_text('{"eta": 0.5', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"scheduler_config\.json is not JSON: .*line 1"):
        DdimConfig.from_json(path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"scheduler_config\.json is not JSON"):
        DdimConfig.from_json(path)


@pytest.mark.parametrize(("value", "kind"), [([1], "list"), (None, "NoneType"), ("eta", "str")])
def test_json_that_is_no_object_is_refused(tmp_path: Path, value: Any, kind: str) -> None:
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"must hold a JSON object, not a {kind}"):
        DdimConfig.from_json(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*missing\.json: No such file"):
        DdimConfig.from_json(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match=r"cannot read .*directory"):
        DdimConfig.from_json(tmp_path)


@pytest.mark.parametrize("name", ["DDIMSchedular", None, ["DDIMScheduler", "x"]])
def test_an_unknown_scheduler_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match=r"_class_name .* is unknown"):
        sampler_config({"_class_name": name})


def test_without_a_class_name_the_sampler_is_ddim() -> None:
    assert sampler_config({"eta": 0.25}) == DdimConfig(eta=0.25)
