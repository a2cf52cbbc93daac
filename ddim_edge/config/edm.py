"""Options of σ-space with EDM's preconditioning (Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import ConfigError
from .checks import number
from .noise_levels import HIGHEST_SIGMA, LOWEST_SIGMA, FinalSigma
from .sampler_options import Family, SamplerOptions


@dataclass(frozen=True, kw_only=True)
class PreconditionedConfig(SamplerOptions):
    """Options of models in σ-space: EDM's and consistency models. Their network is fed c_in·x̃ and log(σ).

    With the prediction type ``sample`` it is fed x̃: it has the preconditioning inside, and returns x_0.
    """

    family: ClassVar[Family] = "edm"
    timestep_scale: ClassVar[float] = 0.25
    """The network's timestep is this times log(σ)."""

    timestep_type: Literal["log_sigma", "sigma"] = "log_sigma"
    """What the network is fed as its timestep: ``log_sigma``, a multiple of log σ, or ``sigma``, σ itself."""
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    """The ends of the levels."""
    sigma_data: float = 0.5
    """The standard deviation of the data."""
    rho: float = 7.0
    """Karras levels have an even σ^(1/rho) (eq. 5)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sigma_min", "sigma_max"):
            number(name, getattr(self, name), low=LOWEST_SIGMA, high=HIGHEST_SIGMA)
        if self.sigma_min >= self.sigma_max:
            raise ConfigError(f"sigma_min {self.sigma_min:g} must be below sigma_max {self.sigma_max:g}")
        number("sigma_data", self.sigma_data, low=1e-3, high=1e3)
        number("rho", self.rho, low=1, high=100)


@dataclass(frozen=True, kw_only=True)
class EdmConfig(PreconditionedConfig):
    """Options that all samplers of EDM models have: the levels σ of a run, and the preconditioning."""

    prediction_type: Literal["edm", "angular_velocity", "sample"] = "edm"
    """``edm`` F of eq. 7, ``angular_velocity`` v, which is -F for a ``sigma_data`` of 1 (CosXL), or ``sample`` x_0."""
    sigma_schedule: Literal["karras", "exponential"] = "karras"
    """Space σ^(1/rho) evenly (eq. 5), or log σ."""
    final_sigma: FinalSigma = "zero"
    """σ after the last step: 0 (``zero``) or that of the last level (``sigma_min``)."""
