"""The comparisons of DDIM, its kin and distilled samplers with their classes of diffusers; see ``beside_diffusers``."""

from typing import Any

from .beside_diffusers import BETAS, Case

_VARIANCE_PRESERVING: dict[str, tuple[Any, ...]] = {**BETAS, "clip_sample": (False, True)}
# With other spacings theirs adds noise after the last step, too.
_ANCESTRAL: dict[str, tuple[Any, ...]] = {
    **_VARIANCE_PRESERVING,
    "variance_type": ("fixed_small", "fixed_large"),
    "timestep_spacing": ("leading",),
    "steps_offset": (0,),
}
CASES = (
    Case(
        "IPNDMScheduler",
        {"num_train_timesteps": (1000,)},
        1e-4,
        "float32: ε is a difference divided by the noise of the last levels",
        steps=(1, 2, 4, 9),
        least=3,
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
        BETAS | {"skip_prk_steps": (True, False), "prediction_type": ("epsilon", "v_prediction")},
        2e-3,
        "where ᾱ is nearly 0, theirs subtracts two large float32 terms",
        steps=(4, 9),
        points=8,
        least=15,
    ),
    Case(
        "LCMScheduler",
        {"beta_schedule": BETAS["beta_schedule"], "prediction_type": BETAS["prediction_type"]},
        2e-5,
        "float32",
        fresh_noise=lambda _options: True,
        points=8,
        least=15,
    ),
)
