"""Every accepted class of diffusers over a drawn grid of its options; see ``beside_diffusers``.

A new sampler adds its class here: its options, its tolerance, and why it is no smaller.
"""

from typing import Any

import numpy as np
import pytest

from .beside_diffusers import Case, runs_compared

# diffusers hands torch tensors to np.array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_SPACINGS = ((), ("use_karras_sigmas",), ("use_exponential_sigmas",), ("use_beta_sigmas",))
_BETAS: dict[str, tuple[Any, ...]] = {
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "steps_offset": (0, 1),
}
_SIGMAS: dict[str, tuple[Any, ...]] = {
    "final_sigmas_type": ("zero", "sigma_min"),
    "spacing": _SPACINGS,
    "sigma_min": (None, 0.03),
    "sigma_max": (None, 80.0),
}
_FLOW: dict[str, tuple[Any, ...]] = {
    "shift": (1.0, 3.0),
    "spacing": _SPACINGS,
    "use_dynamic_shifting": (False, True),
    "time_shift_type": ("exponential", "linear"),
    "shift_terminal": (None, 0.1),
}


def _mu(options: dict[str, Any], _num_steps: int) -> dict[str, Any]:
    """μ as diffusers' pipelines compute it, for 1024 tokens."""
    return {"mu": 0.5 + (1.15 - 0.5) / (4096 - 256) * (1024 - 256)} if options["use_dynamic_shifting"] else {}


def _trailing(options: dict[str, Any], num_steps: int) -> dict[str, Any]:
    """σ as the pipelines of Flux and Sana give them to their scheduler."""
    return {**_mu(options, num_steps), "sigmas": np.linspace(1, 1 / num_steps, num_steps)}


_EDM: dict[str, tuple[Any, ...]] = {
    "sigma_min": (0.002, 0.01),
    "sigma_max": (80.0, 120.0),
    "sigma_data": (0.5, 1.0),
    "sigma_schedule": ("karras", "exponential"),
    "prediction_type": ("epsilon", "v_prediction"),
    "rho": (7.0, 5.0),
    "final_sigmas_type": ("zero", "sigma_min"),
}
_ODE: dict[str, tuple[Any, ...]] = {
    **_BETAS,
    "lower_order_final": (True, False),
    "final_sigmas_type": ("zero", "sigma_min"),
}

_DPM: dict[str, tuple[Any, ...]] = {
    "solver_order": (1, 2, 3),
    "solver_type": ("midpoint", "heun"),
    "algorithm_type": ("dpmsolver++", "dpmsolver", "sde-dpmsolver++"),
}

_EDM_DPM: dict[str, tuple[Any, ...]] = {"euler_at_final": (False, True), "lower_order_final": (True, False)}


def _is_sde(options: dict[str, Any]) -> bool:
    return str(options["algorithm_type"]).startswith("sde")


_KDPM2: dict[str, tuple[Any, ...]] = {
    **_BETAS,
    "num_train_timesteps": (100,),  # theirs takes a second to make 1,000 timesteps, which it does when it is made
    "beta_end": (0.1,),
    "prediction_type": ("epsilon", "v_prediction"),
    "spacing": _SPACINGS,
}
_VARIANCE_PRESERVING: dict[str, tuple[Any, ...]] = {**_BETAS, "clip_sample": (False, True)}
# With other spacings theirs adds noise after the last step, too.
_ANCESTRAL: dict[str, tuple[Any, ...]] = {
    **_VARIANCE_PRESERVING,
    "variance_type": ("fixed_small", "fixed_large"),
    "timestep_spacing": ("leading",),
    "steps_offset": (0,),
}

CASES = (
    Case("EulerDiscreteScheduler", _BETAS | _SIGMAS, 2e-5, "float32", points=16, least=40),
    Case(
        "DPMSolverMultistepScheduler",
        _ODE | {"spacing": (*_SPACINGS[2:], ("use_lu_lambdas",))},
        1e-3,
        "their levels are float32, and 1-ᾱ of it has three digits where ᾱ is near 1",
        own_table=True,
        points=16,
        least=40,
    ),
    Case(
        "UniPCMultistepScheduler",
        _ODE | {"spacing": _SPACINGS[2:]},
        1e-3,
        "their levels are float32, and 1-ᾱ of it has three digits where ᾱ is near 1",
        own_table=True,
        points=16,
        least=20,
    ),
    Case(
        "DPMSolverMultistepScheduler",
        _ODE
        | _DPM
        | {"algorithm_type": (*_DPM["algorithm_type"], "sde-dpmsolver"), "euler_at_final": (False, True)}
        | {"lambda_min_clipped": (-float("inf"), -5.1)},
        2e-4,
        "float32, and a sample that is divided by its small signal",
        fresh_noise=_is_sde,
        points=36,
        steps=(4, 9, 16),
        least=60,
    ),
    Case(
        "DPMSolverSinglestepScheduler",
        _DPM
        | {key: _ODE[key] for key in ("beta_schedule", "prediction_type", "lower_order_final", "final_sigmas_type")}
        | {"lambda_min_clipped": (-float("inf"), -5.1)},
        5e-4,
        "float32: from a signal of 0.006 in one step, with ε, rounding grows 150 times",
        fresh_noise=_is_sde,
        points=30,
        steps=(1, 4, 9),
        least=50,
    ),
    *(
        Case(
            name,
            {"beta_schedule": _BETAS["beta_schedule"], "spacing": _SPACINGS[1:], "solver_order": (2, 3)},
            1e-3,
            "their levels are float32, and 1-ᾱ of it has three digits where ᾱ is near 1",
            own_table=True,
            points=8,
            steps=(4, 9),
            least=10,
        )
        for name in ("DPMSolverSinglestepScheduler", "DEISMultistepScheduler")
    ),
    Case(
        "IPNDMScheduler",
        {"num_train_timesteps": (1000,)},
        1e-4,
        "float32: ε is a difference divided by the noise of the last levels",
        steps=(1, 2, 4, 9),
        least=3,
    ),
    Case(
        "DEISMultistepScheduler",
        {**_BETAS, "lower_order_final": (True, False), "solver_order": (1, 2, 3)},
        5e-4,
        "float32: from a signal of 0.006 in one step, with ε, rounding grows 150 times",
        steps=(1, 4, 9),
        points=16,
        least=40,
    ),
    Case(
        "UniPCMultistepScheduler",
        {
            **_ODE,
            "solver_order": (1, 2, 3),
            "solver_type": ("bh1", "bh2"),
            "predict_x0": (True, False),
            "disable_corrector": ([], [0, 2]),
            "final_sigmas_type": ("sigma_min",),
        },
        5e-4,
        "float32: from a signal of 0.006 in one step, with ε, rounding grows 150 times",
        steps=(1, 4, 9),
        points=24,
        least=60,
    ),
    Case(
        "FlowMatchEulerDiscreteScheduler",
        _FLOW | {"stochastic_sampling": (False, True)},
        5e-6,
        "float32",
        fresh_noise=lambda options: bool(options["stochastic_sampling"]),
        set_timesteps=_mu,
        ours={"image_seq_len": 1024},
        steps=(2, 4, 9),
        points=16,
        least=48,
    ),
    Case(
        "FlowMatchEulerDiscreteScheduler",
        _FLOW,
        5e-6,
        "float32",
        set_timesteps=_trailing,
        ours={"image_seq_len": 1024, "timestep_spacing": "trailing"},
        points=10,
        steps=(2, 9),
        least=20,
    ),
    Case("EDMEulerScheduler", _EDM, 2e-5, "float32", steps=(2, 4, 9), points=12, least=36),
    Case(
        "EDMDPMSolverMultistepScheduler",
        _EDM | _DPM | _EDM_DPM | {"algorithm_type": ("dpmsolver++",)},
        2e-5,
        "float32",
        steps=(2, 4, 9),
        points=16,
        least=48,
    ),
    Case(
        "EDMDPMSolverMultistepScheduler",
        # With sigma_min theirs is NaN where the rounded length of the last step is below 0.
        _EDM | _DPM | _EDM_DPM | {"algorithm_type": ("sde-dpmsolver++",), "final_sigmas_type": ("zero",)},
        2e-5,
        "float32",
        fresh_noise=_is_sde,
        steps=(2, 4, 9),
        points=16,
        least=24,
    ),
    Case(
        "HeunDiscreteScheduler",
        # From a cosine's σ of 20,000 a step of two calls multiplies the second slope's rounding by its length.
        _BETAS | {"beta_schedule": ("linear", "scaled_linear"), "spacing": _SPACINGS, "clip_sample": (False, True)},
        5e-4,
        "a long step multiplies its second slope's rounding, which is divided by a small σ",
        points=16,
        least=40,
    ),
    Case("KDPM2DiscreteScheduler", _KDPM2, 2e-5, "float32", points=12, least=30),
    Case(
        "KDPM2AncestralDiscreteScheduler",
        _KDPM2 | {"beta_schedule": ("linear", "scaled_linear"), "spacing": _SPACINGS[:3]},
        1e-3,
        "their σ_down is the root of a difference of float32 numbers",
        points=12,
        least=30,
        fresh_noise=lambda _options: True,
    ),
    Case("LMSDiscreteScheduler", _BETAS | {"spacing": _SPACINGS}, 2e-5, "float32", points=12, least=30),
    Case(
        "FlowMatchHeunDiscreteScheduler",
        {"shift": (1.0, 3.0, 7.0)},
        5e-4,
        "their last slope is a difference divided by t = 1/1000",
        steps=(2, 4, 9),
        least=9,
    ),
    Case(
        "LTXEulerAncestralRFScheduler",
        _FLOW | {"eta": (0.0, 0.5, 1.0)},
        5e-6,
        "float32",
        fresh_noise=lambda _options: True,
        set_timesteps=_mu,
        ours={"image_seq_len": 1024},
        steps=(2, 4, 9),
        points=12,
        least=36,
    ),
    Case(
        "FlowMatchLCMScheduler",
        _FLOW,
        5e-6,
        "float32",
        fresh_noise=lambda _options: True,
        set_timesteps=_mu,
        ours={"image_seq_len": 1024},
        steps=(2, 4, 9),
        points=12,
        least=36,
    ),
    Case(
        "TCDScheduler",
        {
            "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
            "prediction_type": ("epsilon", "v_prediction", "sample"),
            "original_inference_steps": (50, 20),
            "clip_sample": (False, True),
        },
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=12,
        least=30,
    ),
    Case(
        "CMStochasticIterativeScheduler",
        {
            "sigma_min": (0.002, 0.01),
            "sigma_max": (80.0, 50.0),
            "sigma_data": (0.5, 1.0),
            "rho": (7.0, 5.0),
            "s_noise": (1.0, 0.9),
            "clip_denoised": (True, False),
        },
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=12,
        least=30,
    ),
    Case("DDIMScheduler", _VARIANCE_PRESERVING, 2e-5, "float32", points=8, least=15),
    Case("DDIMParallelScheduler", _VARIANCE_PRESERVING, 2e-5, "float32", points=8, least=15),
    Case(
        "DDPMScheduler",
        _ANCESTRAL | {"beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid")},
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=8,
        least=15,
    ),
    Case(
        "DDPMScheduler",
        _ANCESTRAL | {"variance_type": ("learned", "learned_range")},
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=8,
        steps=(4, 9),
        least=12,
    ),
    Case(
        "DDPMParallelScheduler",
        _ANCESTRAL,
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=8,
        least=15,
    ),
    Case(
        "PNDMScheduler",
        _BETAS | {"skip_prk_steps": (True, False), "prediction_type": ("epsilon", "v_prediction")},
        2e-3,
        "where ᾱ is nearly 0, theirs subtracts two large float32 terms",
        steps=(4, 9),
        points=8,
        least=15,
    ),
    Case(
        "LCMScheduler",
        {"beta_schedule": _BETAS["beta_schedule"], "prediction_type": _BETAS["prediction_type"]},
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=8,
        least=15,
    ),
    Case(
        "EulerAncestralDiscreteScheduler",
        _BETAS | {"prediction_type": ("epsilon", "v_prediction")},
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=8,
        least=15,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_sample_of_a_run_is_diffusers(case: Case) -> None:
    assert runs_compared(case) >= case.least
