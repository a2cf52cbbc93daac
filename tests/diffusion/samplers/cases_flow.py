"""The comparisons of flow matching's samplers with their classes of diffusers; see ``beside_diffusers``."""

from typing import Any

import numpy as np

from .beside_diffusers import SPACINGS, Case, is_sde

_FLOW: dict[str, tuple[Any, ...]] = {
    "shift": (1.0, 3.0),
    "spacing": SPACINGS,
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


def _given(options: dict[str, Any], num_steps: int) -> dict[str, Any]:
    """σ of one's own, as many as there are steps."""
    places = np.linspace(0, 1, num_steps), np.linspace(0, 1, len(GIVEN))
    return {**_mu(options, num_steps), "sigmas": np.interp(*places, GIVEN)}


GIVEN = (0.98, 0.9, 0.6, 0.5, 0.2)
_SOLVER: dict[str, tuple[Any, ...]] = {
    "use_flow_sigmas": (True,),
    "prediction_type": ("flow_prediction",),
    "flow_shift": (1.0, 3.0, 7.0),
    "use_dynamic_shifting": (False, True),
    "lower_order_final": (True, False),
    "solver_order": (1, 2, 3),
}
_DPM: dict[str, tuple[Any, ...]] = {
    **_SOLVER,
    "algorithm_type": ("dpmsolver++", "sde-dpmsolver++"),
    "solver_type": ("midpoint", "heun"),
}
_UNIPC: dict[str, tuple[Any, ...]] = {
    **_SOLVER,
    "solver_type": ("bh1", "bh2"),
    # Theirs is NaN with bh1 at 0, where λ is infinite, and with order 3 in a last step of no length.
    "final_sigmas_type": ("sigma_min",),
    "lower_order_final": (True,),
    "shift_terminal": (None, 0.1),
    "time_shift_type": ("exponential", "linear"),
}

CASES = (
    Case(
        "FlowMatchEulerDiscreteScheduler",
        _FLOW,
        5e-6,
        "float32",
        set_timesteps=_given,
        ours={"image_seq_len": 1024, "sigmas": GIVEN},
        points=8,
        steps=(5, 9),
        least=16,
    ),
    Case(
        "DPMSolverMultistepScheduler",
        _DPM | {"euler_at_final": (False, True)},
        5e-6,
        "float32",
        fresh_noise=is_sde,
        set_timesteps=_mu,
        ours={"image_seq_len": 1024},
        steps=(2, 4, 9),
        points=16,
        least=30,
    ),
    Case(
        "DPMSolverSinglestepScheduler",
        _DPM,
        5e-6,
        "float32",
        fresh_noise=is_sde,
        set_timesteps=_mu,
        ours={"image_seq_len": 1024},
        steps=(2, 4, 9),
        points=16,
        least=30,
    ),
    Case(
        "DEISMultistepScheduler",
        _SOLVER,
        1e-3,
        "float32: their 1-t has four digits where t is near 1",
        set_timesteps=_mu,
        ours={"image_seq_len": 1024},
        steps=(2, 4, 9),
        points=12,
        least=30,
    ),
    Case(
        "UniPCMultistepScheduler",
        _UNIPC,
        2e-3,
        "float32: their 1-t at the first t, 1 - 1e-6, is off by a hundredth",
        set_timesteps=_mu,
        ours={"image_seq_len": 1024},
        steps=(2, 4, 9),
        points=16,
        least=40,
    ),
    Case(
        "UniPCMultistepScheduler",
        _UNIPC | {"solver_type": ("bh2",), "final_sigmas_type": ("zero",)},
        5e-6,
        "float32",
        set_timesteps=_given,
        ours={"image_seq_len": 1024, "sigmas": GIVEN},
        steps=(5,),
        points=8,
        least=8,
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
)
