"""Options that space the noise levels of a run anew, between the same ends."""

from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from .sampler_options import SamplerOptions

SigmaSpacing = Literal["karras", "exponential", "beta", "lu"]


@dataclass(frozen=True, kw_only=True)
class SigmaSpacingConfig(SamplerOptions):
    """Options that space the noise levels σ of a run anew, between the same ends. At most one may be on."""

    use_karras_sigmas: bool = False
    """Space σ^(1/7) evenly (Karras et al. 2022, eq. 5) instead of the timesteps."""
    use_exponential_sigmas: bool = False
    """Space log σ evenly."""
    use_beta_sigmas: bool = False
    """Space σ by the quantiles of the distribution Beta(0.6, 0.6) (Lee et al. 2024)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = self._chosen()
        if len(chosen) > 1:
            names = " and ".join(chosen.values())
            raise ConfigError(f"{names} exclude each other: a run has one spacing of its noise levels; leave one on")

    @property
    def sigma_spacing(self) -> SigmaSpacing | None:
        """How σ is spaced; None where the timesteps are."""
        return next(iter(self._chosen()), None)

    def _chosen(self) -> dict[SigmaSpacing, str]:
        options: dict[SigmaSpacing, str] = {
            "karras": "use_karras_sigmas",
            "exponential": "use_exponential_sigmas",
            "beta": "use_beta_sigmas",
            "lu": "use_lu_lambdas",
        }
        return {spacing: name for spacing, name in options.items() if getattr(self, name, False)}
