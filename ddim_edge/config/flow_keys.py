"""Keys of the scheduler files of DPM-Solver, UniPC and DEIS with ``use_flow_sigmas``, for flow matching."""

from collections.abc import Mapping
from typing import Any


def with_flow_sigmas(scheduler_class: str) -> str:
    """The name under which the keys of these files are listed."""
    return f"{scheduler_class} with use_flow_sigmas"


_FLOW: Mapping[str, tuple[Any, ...]] = {
    # theirs then takes the σ of betas for times
    "use_karras_sigmas": (False, None),
    "use_exponential_sigmas": (False, None),
    "use_beta_sigmas": (False, None),
    "thresholding": (False, None),
}
_ENDS_AT_ZERO: Mapping[str, tuple[Any, ...]] = {
    "use_lu_lambdas": (False, None),
    "time_shift_type": ("exponential",),
    "final_sigmas_type": ("zero",),  # sigma_min is the first σ of betas
}

FLOW_VALUES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    with_flow_sigmas("DPMSolverMultistepScheduler"): {
        **_FLOW,
        **_ENDS_AT_ZERO,
        "algorithm_type": ("dpmsolver++", "sde-dpmsolver++", "deis"),
    },
    with_flow_sigmas("DPMSolverSinglestepScheduler"): {
        **_FLOW,
        **_ENDS_AT_ZERO,
        "algorithm_type": ("dpmsolver++", "sde-dpmsolver++", "deis"),
    },
    with_flow_sigmas("DEISMultistepScheduler"): {
        **_FLOW,
        "time_shift_type": ("exponential",),
        "algorithm_type": ("deis", "dpmsolver", "dpmsolver++"),
        "solver_type": ("logrho", "midpoint", "heun", "bh1", "bh2"),
    },
    with_flow_sigmas("UniPCMultistepScheduler"): {**_FLOW, "solver_p": (None,), "predict_x0": (True,)},
}
"""By scheduler class: the values that are supported of keys that choose a variant of the sampler."""
