"""Scheduler files with the keys that published models have."""

from typing import Any

import pytest

import ddim_edge
from ddim_edge import EulerAncestralConfig, EulerConfig
from ddim_edge.diffusion.samplers import schedule_of
from ddim_edge.diffusion.samplers.deis import FlowDeisConfig
from ddim_edge.diffusion.samplers.dpmpp import FlowDpmppConfig
from ddim_edge.diffusion.samplers.dpmpp_2s import FlowSinglestepConfig
from ddim_edge.diffusion.samplers.unipc import FlowUnipcConfig

FLOW: dict[str, Any] = {
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "flow_shift": 3.0,
    "lower_order_final": True,
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "solver_order": 2,
    "thresholding": False,
    "timestep_spacing": "leading",  # without effect on flow matching
    "trained_betas": None,
    "use_flow_sigmas": True,
    "use_karras_sigmas": False,
}
CLASSES: dict[str, Any] = {
    "DPMSolverMultistepScheduler": FlowDpmppConfig,
    "DPMSolverSinglestepScheduler": FlowSinglestepConfig,
    "DEISMultistepScheduler": FlowDeisConfig,
    "UniPCMultistepScheduler": FlowUnipcConfig,
}


def test_files_as_sdxl_and_its_turbo_model_have_them() -> None:
    common = {
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "interpolation_type": "linear",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "sample_max_value": 1.0,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "trained_betas": None,
        "use_karras_sigmas": False,
    }
    base = {**common, "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}
    turbo = {**common, "_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
    ours = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "quadratic", "timesteps_offset": 1}
    clip: dict[str, Any] = {"alpha_clip_strategy": "alpha_zero", **ours}
    assert ddim_edge.sampler_config(base) == EulerConfig(timestep_spacing="leading", **clip)
    assert ddim_edge.sampler_config(turbo) == EulerAncestralConfig(timestep_spacing="trailing", **clip)
    assert schedule_of(ddim_edge.sampler_config(base), 4).timesteps.tolist() == [751, 501, 251, 1]
    assert schedule_of(ddim_edge.sampler_config(turbo), 4).timesteps.tolist() == [999, 749, 499, 249]
    assert schedule_of(ddim_edge.sampler_config(turbo), 1).timesteps.tolist() == [999]


def test_files_of_flow_matching_as_sana_and_wan_have_them() -> None:
    sana = {**FLOW, "_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++"}
    wan = {**FLOW, "_class_name": "UniPCMultistepScheduler", "solver_type": "bh2", "predict_x0": True, "solver_p": None}
    assert ddim_edge.sampler_config({**sana, "final_sigmas_type": "zero"}) == FlowDpmppConfig(shift=3.0)
    assert ddim_edge.sampler_config({**wan, "shift_terminal": None}) == FlowUnipcConfig(shift=3.0)
    assert schedule_of(ddim_edge.sampler_config(sana), 4).timesteps.tolist() == [999, 899, 749, 499]
    assert schedule_of(ddim_edge.sampler_config(wan), 4).timesteps.tolist() == [999, 900, 750, 500]


@pytest.mark.parametrize("name", CLASSES)
def test_flow_sigmas_choose_the_solver_for_flow_matching(name: str) -> None:
    keys = {**FLOW, "_class_name": name}
    end: dict[str, Any] = {"final_sigma": "sigma_min"} if name == "DEISMultistepScheduler" else {}
    assert ddim_edge.sampler_config(keys) == CLASSES[name](shift=3.0, lower_order_final=True, **end)
    assert ddim_edge.sampler_config(keys, "flow-euler") == ddim_edge.sampler_config(
        {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    )
    flow_match = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 5.0, "use_beta_sigmas": True}
    assert ddim_edge.sampler_config(flow_match, CLASSES[name].name) == CLASSES[name](shift=5.0, use_beta_sigmas=True)
    with pytest.raises(ddim_edge.ConfigError, match="this model is one of flow matching"):
        ddim_edge.sampler_config(keys, "unipc")


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        *((name, "prediction_type", "epsilon") for name in CLASSES),
        *((name, "use_karras_sigmas", True) for name in CLASSES),
        *((name, "thresholding", True) for name in CLASSES),
        ("DPMSolverMultistepScheduler", "algorithm_type", "dpmsolver"),
        ("DPMSolverSinglestepScheduler", "final_sigmas_type", "sigma_min"),
        ("DEISMultistepScheduler", "time_shift_type", "linear"),
        ("UniPCMultistepScheduler", "predict_x0", False),
    ],
)
def test_a_variant_that_is_not_built_is_refused_by_its_key(name: str, key: str, value: Any) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"{key} .* of {name} with use_flow_sigmas is not supported"):
        ddim_edge.sampler_config({**FLOW, "_class_name": name, key: value})
