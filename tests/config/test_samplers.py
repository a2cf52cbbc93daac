"""DdimConfig refuses nonsense when it is made, and says what would have been right."""

import dataclasses
import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge import ConfigError, DdimConfig, DdimEdgeError, DdimSchedule

_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"eta": -0.1}, r"eta must be a number of at least 0, not -0\.1"),
    ({"eta": math.nan}, r"eta must be a finite number, not nan"),
    ({"eta": math.inf}, r"eta must be a finite number, not inf"),
    ({"eta": 10**400}, r"eta must be a finite number, not 1000"),
    ({"eta": "0.5"}, r"eta must be a finite number, not '0\.5'"),
    ({"eta": True}, r"eta must be a finite number, not True"),
    ({"num_train_steps": 0}, r"num_train_steps must be from 1 to 100000, not 0"),
    ({"num_train_steps": 10.0}, r"num_train_steps must be a whole number, not 10\.0"),
    ({"beta_start": 0.0}, r"beta_start must be a number from 1e-09 to 0\.9999, not 0\.0"),
    ({"beta_end": 1.0}, r"beta_end must be a number from 1e-09 to 0\.9999, not 1\.0"),
    ({"beta_end": -0.02}, r"beta_end must be a number from 1e-09 to 0\.9999, not -0\.02"),
    ({"beta_start": math.nan}, r"beta_start must be a finite number, not nan"),
    ({"beta_schedule": "quadratc"}, r"beta_schedule 'quadratc' is unknown\. Did you mean 'quadratic'\? Valid: linear,"),
    ({"beta_schedule": None}, r"beta_schedule None is unknown"),
    ({"prediction_type": "nose"}, r"prediction_type 'nose' is unknown\. Did you mean 'noise'\?"),
    ({"alpha_clip_strategy": "alpha_one"}, r"alpha_clip_strategy 'alpha_one' is unknown\. Did you mean 'alpha_zero'\?"),
    ({"timestep_spacing": "trailling"}, r"timestep_spacing 'trailling' is unknown\. Did you mean 'trailing'\?"),
    ({"transition": "nxt"}, r"transition 'nxt' is unknown\. Did you mean 'next'\? Valid: fixed_gap, next\."),
    ({"timesteps_offset": -1}, r"timesteps_offset must be from 0 to 999, not -1"),
    ({"timesteps_offset": 1000}, r"timesteps_offset must be from 0 to 999, not 1000"),
    ({"clip_denoised_sample": 1}, r"clip_denoised_sample must be true or false, not 1"),
    ({"rederive_noise": "yes"}, r"rederive_noise must be true or false, not 'yes'"),
    ({"zero_terminal_snr": None}, r"zero_terminal_snr must be true or false, not None"),
    ({"clip_range": 0.0}, r"clip_range must be a number from 1e-06 to 1e\+06, not 0\.0"),
    ({"dynamic_threshold_ratio": 1.5}, r"dynamic_threshold_ratio must be a number from 0 to 1, not 1\.5"),
    ({"dynamic_threshold_max": 0.5}, r"dynamic_threshold_max must be a number from 1 to 1e\+06, not 0\.5"),
    ({"trained_betas": [0.1, 0.2]}, r"trained_betas has 2 values and num_train_steps is 1000"),
    ({"trained_betas": [0.1, 1.0], "num_train_steps": 2}, r"trained_betas must be a number from 1e-09 to 0\.9999, not"),
    ({"trained_betas": [0.1, math.nan], "num_train_steps": 2}, r"trained_betas must be a finite number, not nan"),
    ({"trained_betas": "ab", "num_train_steps": 2}, r"trained_betas must be a list of numbers, not 'ab'"),
    ({"trained_betas": 0.1}, r"trained_betas must be a list of numbers, not 0\.1"),
]


@pytest.mark.parametrize(("options", "message"), _REFUSED)
def test_nonsense_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DdimConfig(**options)


@pytest.mark.parametrize("num_steps", [0, -1, 1001, 10.0, "ten", None, True, math.nan])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace", "quadratic"])
def test_a_number_of_steps_that_cannot_be_is_refused(num_steps: Any, spacing: Any) -> None:
    with pytest.raises(ConfigError, match=rf"whole number from 1 to 1000, not {num_steps!r}"):
        DdimSchedule(DdimConfig(timestep_spacing=spacing), num_steps)


def test_a_numpy_integer_is_a_number_of_steps() -> None:
    assert DdimSchedule(DdimConfig(), np.int32(10)).num_steps == 10  # type: ignore[arg-type]


@pytest.mark.parametrize(("spacing", "num_steps"), [("trailing", 10), ("linspace", 10), ("leading", 1000)])
def test_noise_prediction_with_zero_terminal_snr_is_refused_when_the_table_is_built(
    spacing: Any, num_steps: int
) -> None:
    config = DdimConfig(zero_terminal_snr=True, timestep_spacing=spacing)
    with pytest.raises(ConfigError, match=r"zero_terminal_snr needs 'angular_velocity' or 'sample'"):
        DdimSchedule(config, num_steps)


def test_noise_prediction_with_zero_terminal_snr_runs_where_the_last_timestep_is_left_out() -> None:
    schedule = DdimSchedule(DdimConfig(zero_terminal_snr=True), 10)
    assert np.all(np.isfinite(schedule.rows))


def test_an_offset_that_indexes_past_the_end_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"timesteps_offset 100 with 10 steps reaches timestep 1000, past the last"):
        DdimSchedule(DdimConfig(timesteps_offset=100), 10)


def test_more_noise_than_the_schedule_holds_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"eta 5 needs more noise than the schedule has"):
        DdimSchedule(DdimConfig(eta=5.0), 10)


def test_a_config_error_is_a_value_error_of_this_package() -> None:
    with pytest.raises(ValueError, match="eta") as caught:
        DdimConfig(eta=-1)
    assert isinstance(caught.value, DdimEdgeError)
    assert caught.value.exit_code == 2


def test_a_config_is_frozen_keyword_only_and_hashable() -> None:
    config = DdimConfig(eta=0.5, trained_betas=[0.1] * 1000)  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.eta = 0.0  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        DdimConfig(1000)  # type: ignore[call-arg]
    assert hash(config) == hash(config.replace())
    assert config.trained_betas == (0.1,) * 1000


def test_replace_changes_a_copy_and_checks_it() -> None:
    config = DdimConfig(eta=0.5)
    changed = config.replace(eta=1.0, timestep_spacing="trailing")
    assert (changed.eta, changed.timestep_spacing, config.eta) == (1.0, "trailing", 0.5)
    assert type(changed) is DdimConfig
    with pytest.raises(ConfigError, match=r"ddim option 'etta' is unknown\. Did you mean 'eta'\?"):
        config.replace(etta=1.0)
    with pytest.raises(ConfigError, match="eta must be a number"):
        config.replace(eta=-1.0)


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_eta_is_a_finite_number_from_zero_or_refused(eta: float) -> None:
    if 0 <= eta <= sys.float_info.max:
        assert DdimConfig(eta=eta).eta == eta
        return
    with pytest.raises(ConfigError, match="eta"):
        DdimConfig(eta=eta)
