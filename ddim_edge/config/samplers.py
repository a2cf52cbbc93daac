"""The options of each sampler as frozen data, checked when they are made."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import ConfigError
from .checks import number, whole_number
from .noise_schedule import (
    AlphaClipStrategy,
    BetaSchedule,
    ClipConfig,
    NoiseScheduleConfig,
    ThresholdConfig,
    TimestepSpacing,
)

Transition = Literal["fixed_gap", "next"]
FinalSigma = Literal["zero", "sigma_min"]
Solver = Literal["bh1", "bh2"]


@dataclass(frozen=True, kw_only=True)
class DdimConfig(ClipConfig):
    """Options of the DDIM sampler (Song, Meng, Ermon 2020, https://arxiv.org/abs/2010.02502)."""

    name: ClassVar[str] = "ddim"
    summary: ClassVar[str] = "deterministic at eta 0; the one that inverts (Song et al. 2020)"
    scheduler_class: ClassVar[str] = "DDIMScheduler"

    eta: float = 0.0
    """Scales σ_t of eq. 16: 0 is deterministic (DDIM), 1 over all T timesteps is DDPM."""
    rederive_noise: bool = False
    """Take ε from the clipped x_0 instead of from the prediction (GLIDE)."""
    transition: Transition = "fixed_gap"
    """The timestep that a step leads to: ``fixed_gap`` t - T//S (diffusers), or the ``next`` one of the list. They
    agree for ``leading``; for ``trailing`` and ``linspace`` only ``next`` is consistent. ``quadratic`` has no fixed
    gap and always goes to the next."""

    def __post_init__(self) -> None:
        super().__post_init__()
        number("eta", self.eta, low=0)


@dataclass(frozen=True, kw_only=True)
class DdpmConfig(ClipConfig):
    """Options of DDPM's ancestral sampler (Ho, Jain, Abbeel 2020, https://arxiv.org/abs/2006.11239)."""

    name: ClassVar[str] = "ddpm"
    summary: ClassVar[str] = "fresh noise at every step; wants many of them (Ho et al. 2020)"
    scheduler_class: ClassVar[str] = "DDPMScheduler"

    large_variance: bool = False
    """Add noise of variance β_t (σ̂ in DDIM's table 1, ``fixed_large``) instead of the posterior's."""


@dataclass(frozen=True, kw_only=True)
class PndmConfig(NoiseScheduleConfig):
    """Options of PNDM (Liu et al. 2022, https://arxiv.org/abs/2202.09778)."""

    name: ClassVar[str] = "pndm"
    summary: ClassVar[str] = "fourth-order multistep along DDIM's path (Liu et al. 2022)"
    scheduler_class: ClassVar[str] = "PNDMScheduler"

    alpha_clip_strategy: AlphaClipStrategy = "alpha_zero"
    reduce_warmup: bool = False
    """Begin with one repeated step (one call more than steps) instead of three Runge-Kutta steps (nine more)."""
    transition: Transition = "fixed_gap"
    """As DDIM's. With ``trailing`` or ``linspace`` spacing and a number of steps that does not divide T, only ``next``
    goes where the following step begins."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timestep_spacing == "quadratic":
            raise ConfigError(
                "timestep_spacing 'quadratic' makes no sense for pndm: its multistep weights hold for even steps. "
                "Take leading, trailing or linspace"
            )


@dataclass(frozen=True, kw_only=True)
class LcmConfig(ClipConfig):
    """Options of the sampler of latent consistency models (Luo et al. 2023, https://arxiv.org/abs/2310.04378).

    Its timesteps are taken from the list that the model was distilled on: ``timestep_spacing`` has no say.
    """

    name: ClassVar[str] = "lcm"
    summary: ClassVar[str] = "1 to 8 steps, for models distilled to consistency (Luo et al. 2023)"
    scheduler_class: ClassVar[str] = "LCMScheduler"

    beta_schedule: BetaSchedule = "quadratic"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    clip_denoised_sample: bool = False
    num_original_steps: int = 50
    """How many evenly spaced timesteps the model was distilled on; a run takes some of these."""
    boundary_condition_timestep_scale: float = 10.0
    """Multiplies t in c_skip and c_out, which make the network the identity at t = 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("num_original_steps", self.num_original_steps, low=1, high=self.num_train_steps)
        number("boundary_condition_timestep_scale", self.boundary_condition_timestep_scale, low=0, open_interval=True)


@dataclass(frozen=True, kw_only=True)
class _LevelsConfig(ThresholdConfig):
    """Which noise levels σ a run walks down."""

    timestep_spacing: TimestepSpacing = "linspace"
    use_karras_sigmas: bool = False
    """Space σ^(1/7) evenly (Karras et al. 2022, eq. 5) instead of the timesteps."""
    sigma_min: float | None = None
    sigma_max: float | None = None
    """The ends of the Karras levels; without them the noise schedule's, and a cosine's begins too high to be useful."""
    final_sigma: FinalSigma = "zero"
    """Where the last step ends: at σ = ``zero``, or at the first timestep's σ (``sigma_min``)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sigma_min", "sigma_max"):
            level = getattr(self, name)
            if level is not None:
                number(name, level, low=0, open_interval=True)
        if self.sigma_min is not None and self.sigma_max is not None and self.sigma_min >= self.sigma_max:
            raise ConfigError(f"sigma_min {self.sigma_min:g} must lie below sigma_max {self.sigma_max:g}")


@dataclass(frozen=True, kw_only=True)
class EulerConfig(_LevelsConfig):
    """Options of Euler's method in σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 2 without churn).

    Without their ends, the Karras levels go from the σ of the run's first timestep to that of its last.
    """

    name: ClassVar[str] = "euler"
    summary: ClassVar[str] = "deterministic: DDIM over levels of any spacing (Karras et al. 2022)"
    scheduler_class: ClassVar[str] = "EulerDiscreteScheduler"


@dataclass(frozen=True, kw_only=True)
class EulerAncestralConfig(ThresholdConfig):
    """Options of Euler's method with fresh noise at every step but the last (k-diffusion's ``euler_ancestral``)."""

    name: ClassVar[str] = "euler-a"
    summary: ClassVar[str] = "Euler with fresh noise; 1 to 4 steps for Turbo models"
    scheduler_class: ClassVar[str] = "EulerAncestralDiscreteScheduler"

    timestep_spacing: TimestepSpacing = "linspace"


@dataclass(frozen=True, kw_only=True)
class _SolverConfig(_LevelsConfig):
    """What the two solvers of the ODE in log-SNR time share."""

    lower_order_final: bool = True
    """End with a first-order step, which is steadier where steps are few."""


@dataclass(frozen=True, kw_only=True)
class DpmppConfig(_SolverConfig):
    """Options of DPM-Solver++(2M) (Lu et al. 2022, https://arxiv.org/abs/2211.01095).

    ``lower_order_final`` acts below 15 steps; a step to σ = 0 is of first order in any case.
    """

    name: ClassVar[str] = "dpmpp-2m"
    summary: ClassVar[str] = "second-order multistep in log-SNR time (Lu et al. 2022)"
    scheduler_class: ClassVar[str] = "DPMSolverMultistepScheduler"


@dataclass(frozen=True, kw_only=True)
class UnipcConfig(_SolverConfig):
    """Options of UniPC of order 2 (Zhao et al. 2023, https://arxiv.org/abs/2302.04867)."""

    name: ClassVar[str] = "unipc"
    summary: ClassVar[str] = "predictor of order 2 with a corrector that costs no call (Zhao et al. 2023)"
    scheduler_class: ClassVar[str] = "UniPCMultistepScheduler"

    solver: Solver = "bh2"
    """B(h) of the paper: ``bh1`` h, ``bh2`` e^h - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.final_sigma == "zero" and not self.lower_order_final:
            raise ConfigError(
                "final_sigma 'zero' needs lower_order_final: a step of infinite length in log-SNR has no second order. "
                "Take final_sigma 'sigma_min', or leave lower_order_final on"
            )


SamplerConfig = (
    DdimConfig | DdpmConfig | PndmConfig | LcmConfig | EulerConfig | EulerAncestralConfig | DpmppConfig | UnipcConfig
)
