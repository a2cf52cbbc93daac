"""Options of the solvers of higher order in log-SNR time."""

from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from .checks import whole_number
from .diffusers_names import NotBuiltError
from .sampler_options import SamplerOptions

HIGHEST_ORDER = 3

Algorithm = Literal["dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver"]


@dataclass(frozen=True, kw_only=True)
class MultistepConfig(SamplerOptions):
    """Options of the solvers that can have several orders."""

    solver_order: int = 2
    """The order, 1 to 3: how many predictions a step uses. Order 1 is DDIM without clipping."""
    lower_order_final: bool = True
    """Make the last step of first order, which is more stable with few steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("solver_order", self.solver_order, low=1, high=HIGHEST_ORDER)


@dataclass(frozen=True, kw_only=True)
class DpmSolverConfig(MultistepConfig):
    """Options of DPM-Solver (Lu et al. 2022, https://arxiv.org/abs/2206.00927) and DPM-Solver++ (2211.01095)."""

    algorithm_type: Algorithm = "dpmsolver++"
    """What is integrated: x_0 (``dpmsolver++``) or ε (``dpmsolver``). ``sde-`` solves the diffusion SDE, whose steps
    add fresh noise, instead of the ODE."""
    solver_type: Literal["midpoint", "heun"] = "midpoint"
    """The correction of order 2: half of the weight of order 1 (``midpoint``), or the integral of a line (``heun``)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver_order == HIGHEST_ORDER and self.is_stochastic:
            raise NotBuiltError(
                f"solver_order 3 with algorithm_type {self.algorithm_type!r} is known, but not built here: in "
                "diffusers its last term has the wrong sign. Take solver_order 2"
            )
        if self.algorithm_type == "sde-dpmsolver" and getattr(self, "final_sigma", "zero") == "zero":
            raise ConfigError(
                "algorithm_type 'sde-dpmsolver' needs final_sigma 'sigma_min': its step to σ = 0 would add noise to "
                "the result. Set it, or take 'sde-dpmsolver++'"
            )

    @property
    def integrates_noise(self) -> bool:
        """Whether the solver extrapolates ε instead of x_0."""
        return not self.algorithm_type.endswith("++")

    @property
    def is_stochastic(self) -> bool:
        """Whether steps add fresh noise."""
        return self.algorithm_type.startswith("sde-")
