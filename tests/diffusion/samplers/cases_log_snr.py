"""The comparisons of DPM-Solver, UniPC and DEIS with their classes of diffusers; see ``beside_diffusers``."""

from typing import Any

from .beside_diffusers import BETAS, DPM, SPACINGS, Case, is_sde

_ODE: dict[str, tuple[Any, ...]] = {
    **BETAS,
    "lower_order_final": (True, False),
    "final_sigmas_type": ("zero", "sigma_min"),
}
CASES = (
    Case(
        "DPMSolverMultistepScheduler",
        _ODE | {"spacing": (*SPACINGS[2:], ("use_lu_lambdas",))},
        1e-3,
        "their levels are float32, and 1-ᾱ of it has three digits where ᾱ is near 1",
        own_table=True,
        points=16,
        least=40,
    ),
    Case(
        "UniPCMultistepScheduler",
        _ODE | {"spacing": SPACINGS[2:]},
        1e-3,
        "their levels are float32, and 1-ᾱ of it has three digits where ᾱ is near 1",
        own_table=True,
        points=16,
        least=20,
    ),
    Case(
        "DPMSolverMultistepScheduler",
        _ODE
        | DPM
        | {"algorithm_type": (*DPM["algorithm_type"], "sde-dpmsolver"), "euler_at_final": (False, True)}
        | {"lambda_min_clipped": (-float("inf"), -5.1)},
        2e-4,
        "float32, and a sample that is divided by its small signal",
        fresh_noise=is_sde,
        points=36,
        steps=(4, 9, 16),
        least=60,
    ),
    Case(
        "DPMSolverSinglestepScheduler",
        DPM
        | {key: _ODE[key] for key in ("beta_schedule", "prediction_type", "lower_order_final", "final_sigmas_type")}
        | {"lambda_min_clipped": (-float("inf"), -5.1)},
        5e-4,
        "float32: from a signal of 0.006 in one step, with ε, rounding grows 150 times",
        fresh_noise=is_sde,
        points=30,
        steps=(1, 4, 9),
        least=50,
    ),
    *(
        Case(
            name,
            {"beta_schedule": BETAS["beta_schedule"], "spacing": SPACINGS[1:], "solver_order": (2, 3)},
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
        "DEISMultistepScheduler",
        {**BETAS, "lower_order_final": (True, False), "solver_order": (1, 2, 3)},
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
)
