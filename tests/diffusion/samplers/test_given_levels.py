"""Levels that are given one by one, beside those of diffusers' arguments of the same name."""

from typing import Any

import diffusers
import numpy as np
import pytest
from diffusers.schedulers import AysSchedules

import ddim_edge
from ddim_edge.diffusion.samplers import FlowEulerConfig, schedule_of
from ddim_edge.diffusion.samplers.given_levels import ALIGN_YOUR_STEPS

# diffusers hands torch tensors to np.array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BETAS: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
EULER, DPMPP = "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"


def test_the_lists_are_diffusers() -> None:
    assert list(ALIGN_YOUR_STEPS["sd15"]) == AysSchedules["StableDiffusionTimesteps"]
    assert list(ALIGN_YOUR_STEPS["sdxl"]) == AysSchedules["StableDiffusionXLTimesteps"]


@pytest.mark.parametrize(
    ("name", "option", "argument"),
    [
        (EULER, {"align_your_steps": "sd15"}, {"timesteps": AysSchedules["StableDiffusionTimesteps"]}),
        (DPMPP, {"align_your_steps": "sdxl"}, {"timesteps": AysSchedules["StableDiffusionXLTimesteps"]}),
        (EULER, {"timesteps": [900, 400, 30]}, {"timesteps": [900, 400, 30]}),
        (EULER, {"sigmas": [14.6, 5, 1, 0.1]}, {"sigmas": [14.6, 5, 1, 0.1, 0]}),
    ],
)
def test_given_levels_are_diffusers(name: str, option: dict[str, Any], argument: dict[str, Any]) -> None:
    theirs = getattr(diffusers, name)(**BETAS)
    theirs.set_timesteps(**argument)
    config = ddim_edge.sampler_config({"_class_name": name, **BETAS, **option})
    schedule = schedule_of(config, len(theirs.timesteps))
    np.testing.assert_allclose(schedule.timesteps, theirs.timesteps.numpy(), rtol=1e-5)
    np.testing.assert_allclose(schedule.levels.sigmas, theirs.sigmas[:-1].numpy(), rtol=1e-5)


def test_another_number_of_steps_is_interpolated_in_the_logarithm() -> None:
    config = ddim_edge.EulerConfig().replace(sigmas=[16, 4, 1])
    np.testing.assert_allclose(schedule_of(config, 5).levels.sigmas, [16, 8, 4, 2, 1])
    assert config == ddim_edge.EulerConfig(sigmas=(16.0, 4.0, 1.0))


def test_given_times_of_flow_matching_are_shifted_but_for_the_ancestral_form() -> None:
    shifted = ddim_edge.sampler_config({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0})
    times = schedule_of(shifted.replace(sigmas=[0.75, 0.25]), 3).levels.noise
    np.testing.assert_allclose(times, [0.9, 0.75, 0.5])  # 3t/(1 + 2t) of 0.75, 0.5 and 0.25
    theirs = diffusers.LTXEulerAncestralRFScheduler()
    theirs.set_timesteps(sigmas=[0.75, 0.25, 0.0])
    ancestral = ddim_edge.sampler_config({"_class_name": "LTXEulerAncestralRFScheduler", "shift": 3.0})
    schedule = schedule_of(ancestral.replace(sigmas=[0.75, 0.25]), 2)
    np.testing.assert_allclose(schedule.levels.noise, theirs.sigmas[:-1].numpy())
    np.testing.assert_allclose(schedule.timesteps, theirs.timesteps[:-1].numpy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigmas": [0.5, 0.6]}, "sigmas must fall"),
        ({"sigmas": [1.5, 0.6]}, "sigmas must be a number from 1e-06 to 1"),
        ({"sigmas": [0.5, 0.0]}, "sigmas must be a number from 1e-06 to 1"),
        ({"sigmas": [0.5], "timestep_spacing": "trailing"}, "sigmas and timestep_spacing 'trailing' exclude"),
    ],
)
def test_what_is_no_list_of_times(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        FlowEulerConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigmas": [1, 2]}, "sigmas must fall, each number below the one before"),
        ({"sigmas": []}, "sigmas must fall"),
        ({"sigmas": 3}, "sigmas must be a list of numbers, not 3"),
        ({"sigmas": [1, 0]}, "sigmas must be a number from 1e-05"),
        ({"timesteps": [1000, 3]}, "timesteps must be a number from 0 to 999"),
        ({"timesteps": [9, 3], "use_karras_sigmas": True}, "timesteps and use_karras_sigmas exclude each other"),
        ({"use_beta_sigmas": True, "use_karras_sigmas": True}, "use_karras_sigmas and use_beta_sigmas exclude"),
        ({"align_your_steps": "sd3"}, "align_your_steps 'sd3' is unknown"),
    ],
)
def test_what_is_no_list_of_levels(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        ddim_edge.EulerConfig().replace(**options)
