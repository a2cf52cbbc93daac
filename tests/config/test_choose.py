"""Which sampler a file or a name asks for, what carries over, and what is refused, with its reason."""

import math
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge import (
    DdimConfig,
    DdpmConfig,
    DpmppConfig,
    EulerAncestralConfig,
    EulerConfig,
    LcmConfig,
    PndmConfig,
    SamplerConfig,
    UnipcConfig,
)
from ddim_edge.diffusion.samplers import (
    SAMPLERS,
    DeisConfig,
    DpmppSinglestepConfig,
    EdmDpmppConfig,
    IpndmConfig,
    changed_options,
    samplers_for,
    schedule_of,
    with_sampler,
)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("DDIMScheduler", DdimConfig()),
        ("DDPMScheduler", DdpmConfig()),
        ("PNDMScheduler", PndmConfig()),
        ("LCMScheduler", LcmConfig()),
        ("EulerDiscreteScheduler", EulerConfig()),
        ("EulerAncestralDiscreteScheduler", EulerAncestralConfig()),
        ("DPMSolverMultistepScheduler", DpmppConfig()),
        ("UniPCMultistepScheduler", UnipcConfig()),
        ("DPMSolverSinglestepScheduler", DpmppSinglestepConfig()),
        ("DEISMultistepScheduler", DeisConfig()),
        ("EDMDPMSolverMultistepScheduler", EdmDpmppConfig()),
        ("IPNDMScheduler", IpndmConfig()),
    ],
)
def test_the_class_in_a_file_chooses_the_sampler(name: str, config: SamplerConfig) -> None:
    assert ddim_edge.sampler_config({"_class_name": name}) == config


@pytest.mark.parametrize(
    ("name", "keys", "fields"),
    [
        ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": True}, {"reduce_warmup": True}),
        ("LCMScheduler", {"original_inference_steps": 100, "timestep_scaling": 5.0}, {"num_original_steps": 100}),
        ("DDPMScheduler", {"variance_type": "fixed_large"}, {"large_variance": True}),
        ("DDPMScheduler", {"variance_type": "learned"}, {"variance": "learned"}),
        ("DDPMParallelScheduler", {"variance_type": "learned_range"}, {"variance": "learned_range"}),
        ("DPMSolverMultistepScheduler", {"variance_type": "learned_range"}, {}),  # they do not read it, either
        ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}, {"final_sigma": "sigma_min"}),
        ("DPMSolverMultistepScheduler", {"lambda_min_clipped": -math.inf, "solver_type": "bh2"}, {}),
        ("UniPCMultistepScheduler", {"solver_type": "bh1", "disable_corrector": []}, {"solver": "bh1"}),
        ("UniPCMultistepScheduler", {"solver_type": "midpoint"}, {"solver": "bh2"}),
        ("UniPCMultistepScheduler", {"solver_order": 3, "disable_corrector": [0]}, {"disable_corrector": (0,)}),
        (
            "DPMSolverMultistepScheduler",
            {"solver_type": "logrho", "algorithm_type": "deis"},
            {"solver_type": "midpoint"},
        ),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, {"algorithm_type": "sde-dpmsolver++"}),
        ("DPMSolverMultistepScheduler", {"lambda_min_clipped": -5.1}, {"lambda_min_clipped": -5.1}),
        ("DEISMultistepScheduler", {"solver_order": 3, "solver_type": "midpoint"}, {"solver_order": 3}),
    ],
)
def test_a_files_keys_become_fields(name: str, keys: dict[str, Any], fields: dict[str, Any]) -> None:
    config = ddim_edge.sampler_config({"_class_name": name, **keys})
    assert {field: getattr(config, field) for field in fields} == fields


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("EulerDiscreteScheduler", "interpolation_type", "log_linear"),
        ("EulerDiscreteScheduler", "timestep_type", "continuous"),
        ("EulerDiscreteScheduler", "s_churn", 0.5),
        ("FlowMatchEulerDiscreteScheduler", "invert_sigmas", True),
        ("DPMSolverSinglestepScheduler", "algorithm_type", "sde-dpmsolver"),
        ("EDMDPMSolverMultistepScheduler", "algorithm_type", "dpmsolver"),
        ("DEISMultistepScheduler", "algorithm_type", "sde-dpmsolver++"),
        ("UniPCMultistepScheduler", "solver_p", "DDIMScheduler"),
    ],
)
def test_a_variant_that_is_not_built_is_refused_by_its_key(name: str, key: str, value: Any) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"{key} .* of {name} is not supported"):
        ddim_edge.sampler_config({"_class_name": name, key: value})
    assert ddim_edge.DdimConfig.from_json({key: value}) == DdimConfig()


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_the_noise_schedule_carries_over(name: str) -> None:
    own = DdimConfig(
        num_train_steps=500,
        beta_schedule="squared_cosine",
        prediction_type="angular_velocity",
        timestep_spacing="trailing",
        alpha_clip_strategy="alpha_zero",
        clip_denoised_sample=False,
        eta=0.5,
    )
    config = with_sampler(own, name)
    assert config.name == name
    for field in ("num_train_steps", "beta_schedule", "prediction_type", "timestep_spacing", "alpha_clip_strategy"):
        assert getattr(config, field) == getattr(own, field)
    assert getattr(config, "clip_denoised_sample", False) is False
    assert with_sampler(config, name) is config


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        (
            "DPMSolverMultistepScheduler",
            {"solver_order": 3, "algorithm_type": "sde-dpmsolver++"},
            "solver_order 3 with algorithm_type 'sde-dpmsolver\\+\\+' is known, but not built here",
        ),
        ("EDMDPMSolverMultistepScheduler", {"thresholding": True}, "thresholding .* is not supported"),
        ("IPNDMScheduler", {"trained_betas": [0.1]}, "trained_betas .* of IPNDMScheduler is not supported"),
        ("DPMSolverMultistepScheduler", {"solver_order": 4}, "solver_order must be from 1 to 3, not 4"),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver"}, "needs final_sigma 'sigma_min'"),
        ("DPMSolverMultistepScheduler", {"solver_type": "euler"}, "solver_type 'euler' is unknown. Valid: midpoint, "),
        ("UniPCMultistepScheduler", {"predict_x0": False}, "needs lower_order_final and predict_x0"),
        ("UniPCMultistepScheduler", {"disable_corrector": 3}, "disable_corrector must be a list of steps, not 3"),
        ("UniPCMultistepScheduler", {"disable_corrector": [-1]}, "disable_corrector must be at least 0, not -1"),
    ],
)
def test_options_of_solvers_that_do_not_go_together(name: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        ddim_edge.sampler_config({"_class_name": name, **keys})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timestep_spacing": "trailing"}, "does not work with timestep_spacing 'trailing'"),
        ({"num_train_steps": 12}, "leaves 11 of 12 training timesteps, and 11 steps need more"),
    ],
)
def test_timesteps_that_lambda_min_clipped_leaves_out(options: dict[str, Any], message: str) -> None:
    config = DpmppConfig(beta_schedule="squared_cosine", lambda_min_clipped=-5.1, **options)
    with pytest.raises(ddim_edge.ConfigError, match=message):
        schedule_of(config, 11)


def test_what_cannot_carry_over_is_refused() -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"sampler 'dpm\+\+' is unknown"):
        with_sampler(DdimConfig(), "dpm++")
    with pytest.raises(ddim_edge.ConfigError, match=r"this model is one of discrete betas: take ddim, .* unipc, "):
        with_sampler(DdimConfig(), "flow-euler")
    with pytest.raises(ddim_edge.ConfigError, match=r"one of flow matching, which has no betas: take flow-euler"):
        with_sampler(SAMPLERS["flow-euler"](), "ddim")
    with pytest.raises(ddim_edge.ConfigError, match="pndm has no zero_terminal_snr"):
        with_sampler(DdimConfig(zero_terminal_snr=True), "pndm")
    with pytest.raises(ddim_edge.ConfigError, match="'quadratic' does not work with pndm"):
        with_sampler(DdimConfig(timestep_spacing="quadratic"), "pndm")


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_changed_options_make_the_config_again(name: str) -> None:
    betas = {"prediction_type": "sample", "alpha_clip_strategy": "one"} if name in samplers_for("betas") else {}
    config = SAMPLERS[name]().replace(num_train_steps=77, **betas)
    assert SAMPLERS[name]().replace(**changed_options(config)) == config
    assert changed_options(SAMPLERS[name]()) == {}


@pytest.mark.parametrize(
    ("config", "num_steps", "strength", "message"),
    [
        (PndmConfig(), 3, 1.0, "needs at least 4 steps, not 3: take more, or set reduce_warmup"),
        (PndmConfig(reduce_warmup=True), 1, 1.0, "needs at least 2 steps, not 1"),
        (PndmConfig(), 10, 0.3, "needs at least 4 steps, not 3"),
        (LcmConfig(), 51, 1.0, "its 51 steps from the 50"),
        (LcmConfig(), 26, 0.5, "its 26 steps from the 25"),
        (DdimConfig(), 10, 0.05, "leaves no step: take a strength of at least 0.1"),
        (DdimConfig(), 10, 1.5, r"strength must be a number from 0 to 1"),
        (DdimConfig(), 10, math.nan, "strength must be a finite number"),
        (DpmppConfig(), 1000, 1.0, "dpmpp-2m with linspace spacing makes at most 999 steps"),
        (
            EulerAncestralConfig(zero_terminal_snr=True),
            500,
            1.0,
            "500 steps of this zero_terminal_snr schedule begin with a step to more",
        ),
        (UnipcConfig(timestep_spacing="leading"), 1000, 1.0, "unipc with leading spacing makes at most 999 steps"),
    ],
)
def test_steps_that_a_sampler_cannot_make(config: SamplerConfig, num_steps: int, strength: float, message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        schedule_of(config, num_steps, strength)


@pytest.mark.parametrize("config", [DdpmConfig(), LcmConfig(), EulerAncestralConfig()])
def test_fresh_noise_must_be_given(config: SamplerConfig) -> None:
    sample = np.zeros((1, 1, 2, 2), np.float32)
    sampler = ddim_edge.start(config, 4, sample)
    next(sampler)
    with pytest.raises(ddim_edge.ConfigError, match=f"{config.name} adds fresh noise at its steps: pass noise"):
        sampler.send(sample)


@pytest.mark.parametrize("kind", [DpmppConfig, EulerConfig])
def test_the_ends_of_the_karras_levels(kind: Any) -> None:
    config = kind(use_karras_sigmas=True, sigma_min=0.1, sigma_max=5.0)
    levels = schedule_of(config, 9).levels
    np.testing.assert_allclose(levels.sigmas[[0, -1]], [5.0, 0.1])
    with pytest.raises(ddim_edge.ConfigError, match="sigma_min 5 must be below sigma_max 2"):
        config.replace(sigma_min=5.0, sigma_max=2.0)
    with pytest.raises(ddim_edge.ConfigError, match="sigma_max must be a number"):
        UnipcConfig(sigma_max=-1.0)


def test_a_last_step_of_second_order_to_no_noise_is_refused() -> None:
    with pytest.raises(ddim_edge.ConfigError, match="final_sigma 'zero' needs lower_order_final"):
        UnipcConfig(lower_order_final=False)
