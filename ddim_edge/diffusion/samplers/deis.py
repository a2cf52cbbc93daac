"""DEIS, multistep in log ρ (Zhang & Chen 2022, https://arxiv.org/abs/2204.13902, ρAB-DEIS with log ρ for time).

With ρ = noise/signal, the predicted ε is the polynomial in log ρ through the latest predictions, ε_0 the latest, and
the probability-flow ODE in x/signal has it alone to integrate::

    x_t' = signal'·(x_t/signal + Σ ε_k·∫ ℓ_k(log r) dr),    r from ρ to ρ',  ℓ_k the Lagrange polynomials

Since log ρ = -λ, this is DPM-Solver (``exponential``, the form for ε) with the whole polynomial: ``heun`` at order 2,
and at order 3 twice the published D2. The first step has order 1 and the second at most 2; the last one has order 1 if
there are few steps, or if it goes to ρ = 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...config import FlowSolverConfig, OdeSolverConfig
from ...config.noise_levels import FinalSigma
from .dpmpp import FEW_STEPS, lowered, multistep_weights
from .levels import ode_levels_of
from .solver import SolverSchedule


@dataclass(frozen=True, kw_only=True)
class DeisConfig(OdeSolverConfig):
    """Options of DEIS, multistep (Zhang & Chen 2022, https://arxiv.org/abs/2204.13902).

    ``lower_order_final`` has an effect below 15 steps.
    """

    name: ClassVar[str] = "deis"
    summary: ClassVar[str] = "multistep with the predicted ε in log ρ (Zhang & Chen 2022)"
    scheduler_class: ClassVar[str] = "DEISMultistepScheduler"
    ends_at_last_level: ClassVar[bool] = True

    final_sigma: FinalSigma = "sigma_min"


@dataclass(frozen=True, kw_only=True)
class FlowDeisConfig(FlowSolverConfig):
    """Options of DEIS, multistep, for flow matching (``use_flow_sigmas``).

    With a file of its own a run ends at its last level, with the noise there, as in diffusers; otherwise without noise.
    """

    name: ClassVar[str] = "flow-deis"
    summary: ClassVar[str] = "for models of flow matching: multistep with the predicted ε in log ρ"
    scheduler_class: ClassVar[str] = "DEISMultistepScheduler"

    @classmethod
    def fields_of(cls, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that the ``keys`` of a scheduler file set. Raises ConfigError as ``from_json`` does."""
        own = keys.get("use_flow_sigmas") and keys.get("_class_name") == cls.scheduler_class
        return ({"final_sigma": "sigma_min"} if own else {}) | super().fields_of(keys)


def deis_schedule(config: DeisConfig | FlowDeisConfig, num_steps: int, strength: float = 1.0) -> SolverSchedule:
    """The schedule of a run."""
    run = ode_levels_of(config, num_steps, strength)
    few = config.lower_order_final and num_steps < FEW_STEPS
    orders = lowered(config.solver_order, len(run.timesteps), few=few)
    if config.final_sigma == "zero":
        orders[-1] = 1
    following = multistep_weights("dpmsolver", run.levels, orders, of_d2=2.0)
    return SolverSchedule(config, run, following, integrates_noise=True)
