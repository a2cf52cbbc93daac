"""The comparisons of the samplers in σ-space with their classes of diffusers; see ``beside_diffusers``."""

from typing import Any

from .beside_diffusers import BETAS, DPM, SPACINGS, Case, is_sde

_SIGMAS: dict[str, tuple[Any, ...]] = {
    "final_sigmas_type": ("zero", "sigma_min"),
    "spacing": SPACINGS,
    "sigma_min": (None, 0.03),
    "sigma_max": (None, 80.0),
}
_EDM: dict[str, tuple[Any, ...]] = {
    "sigma_min": (0.002, 0.01),
    "sigma_max": (80.0, 120.0),
    "sigma_data": (0.5, 1.0),
    "sigma_schedule": ("karras", "exponential"),
    "prediction_type": ("epsilon", "v_prediction"),
    "rho": (7.0, 5.0),
    "final_sigmas_type": ("zero", "sigma_min"),
}
_EDM_DPM: dict[str, tuple[Any, ...]] = {"euler_at_final": (False, True), "lower_order_final": (True, False)}
_KDPM2: dict[str, tuple[Any, ...]] = {
    **BETAS,
    "num_train_timesteps": (100,),  # theirs takes a second to make 1,000 timesteps, which it does when it is made
    "beta_end": (0.1,),
    "prediction_type": ("epsilon", "v_prediction"),
    "spacing": SPACINGS,
}
CASES = (
    Case("EulerDiscreteScheduler", BETAS | _SIGMAS, 2e-5, "float32", points=16, least=40),
    Case("EDMEulerScheduler", _EDM, 2e-5, "float32", steps=(2, 4, 9), points=12, least=36),
    Case(
        "EDMDPMSolverMultistepScheduler",
        _EDM | DPM | _EDM_DPM | {"algorithm_type": ("dpmsolver++",)},
        2e-5,
        "float32",
        steps=(2, 4, 9),
        points=16,
        least=48,
    ),
    Case(
        "EDMDPMSolverMultistepScheduler",
        # With sigma_min theirs is NaN where the rounded length of the last step is below 0.
        _EDM | DPM | _EDM_DPM | {"algorithm_type": ("sde-dpmsolver++",), "final_sigmas_type": ("zero",)},
        2e-5,
        "float32",
        fresh_noise=is_sde,
        steps=(2, 4, 9),
        points=16,
        least=24,
    ),
    Case(
        "HeunDiscreteScheduler",
        # From a cosine's σ of 20,000 a step of two calls multiplies the second slope's rounding by its length.
        BETAS | {"beta_schedule": ("linear", "scaled_linear"), "spacing": SPACINGS, "clip_sample": (False, True)},
        5e-4,
        "a long step multiplies its second slope's rounding, which is divided by a small σ",
        points=16,
        least=40,
    ),
    Case("KDPM2DiscreteScheduler", _KDPM2, 2e-5, "float32", points=12, least=30),
    Case(
        "KDPM2AncestralDiscreteScheduler",
        _KDPM2 | {"beta_schedule": ("linear", "scaled_linear"), "spacing": SPACINGS[:3]},
        1e-3,
        "their σ_down is the root of a difference of float32 numbers",
        points=12,
        least=30,
        fresh_noise=lambda _options: True,
    ),
    Case("LMSDiscreteScheduler", BETAS | {"spacing": SPACINGS}, 2e-5, "float32", points=12, least=30),
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
    Case(
        "EulerAncestralDiscreteScheduler",
        BETAS | {"prediction_type": ("epsilon", "v_prediction")},
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=8,
        least=15,
    ),
)
