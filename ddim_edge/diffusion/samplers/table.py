"""The table of samplers: for each its config, schedule and generator."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...arrays import Sample
from ...config import Family, FlowSolverConfig, SamplerOptions
from ...config.diffusers_names import unknown_value
from ...errors import ConfigError, shown
from .consistency import ConsistencyConfig, ConsistencySchedule, consistency, first_consistency_sample
from .ddim import DdimSchedule, ddim
from .ddim_coefficients import DdimConfig
from .ddpm import DdpmConfig, DdpmSchedule, ddpm
from .deis import DeisConfig, FlowDeisConfig, deis_schedule
from .dpmpp import DpmppConfig, EdmDpmppConfig, FlowDpmppConfig, dpmpp_schedule
from .dpmpp_2s import DpmppSinglestepConfig, FlowSinglestepConfig, dpmpp_2s_schedule
from .edm_euler import EdmEulerConfig, edm_first_sample
from .euler import EulerAncestralConfig, EulerConfig, EulerSchedule, ancestral_schedule, euler
from .euler import first_sample as euler_first_sample
from .flow_ancestral import FlowAncestralConfig, FlowLcmConfig, flow_ancestral_schedule, flow_lcm_schedule
from .flow_euler import FlowEulerConfig, flow_euler_schedule
from .heun import FlowHeunConfig, HeunConfig, heun_schedule
from .ipndm import IpndmConfig, ipndm_schedule
from .kdpm2 import Kdpm2AncestralConfig, Kdpm2Config, kdpm2_ancestral_schedule, kdpm2_schedule
from .lcm import LcmConfig, LcmSchedule, lcm
from .lms import LmsConfig, LmsSchedule, lms
from .pndm import PndmConfig, PndmSchedule, pndm
from .query import NoiseSource, Sampler, Schedule
from .solver import solve
from .tcd import TcdConfig, TcdSchedule, tcd
from .two_calls import two_calls_a_step
from .unipc import FlowUnipcConfig, UnipcConfig, UnipcSchedule, unipc

SamplerConfig = (
    DdimConfig
    | DdpmConfig
    | PndmConfig
    | LcmConfig
    | EulerConfig
    | EulerAncestralConfig
    | DpmppConfig
    | UnipcConfig
    | DpmppSinglestepConfig
    | DeisConfig
    | FlowEulerConfig
    | EdmEulerConfig
    | EdmDpmppConfig
    | IpndmConfig
    | HeunConfig
    | Kdpm2Config
    | Kdpm2AncestralConfig
    | LmsConfig
    | FlowHeunConfig
    | FlowAncestralConfig
    | FlowLcmConfig
    | FlowDpmppConfig
    | FlowSinglestepConfig
    | FlowDeisConfig
    | FlowUnipcConfig
    | TcdConfig
    | ConsistencyConfig
)


def _unscaled_noise(_schedule: Schedule, noise: Sample) -> Sample:
    return noise


class SamplerRow(NamedTuple):
    """One sampler.

    ``schedule`` takes its config, the number of steps and the strength; ``generator`` takes the schedule, x_T and the
    source of noise; ``first_sample`` makes x_T from standard normal noise.
    """

    config: type[SamplerConfig]
    schedule: Callable[[Any, int, float], Schedule]
    generator: Callable[[Any, Sample, NoiseSource | None], Sampler]
    first_sample: Callable[[Any, Sample], Sample] = _unscaled_noise


ROWS = (
    SamplerRow(DdimConfig, DdimSchedule, ddim),
    SamplerRow(DdpmConfig, DdpmSchedule, ddpm),
    SamplerRow(PndmConfig, PndmSchedule, pndm),
    SamplerRow(LcmConfig, LcmSchedule, lcm),
    SamplerRow(EulerConfig, EulerSchedule, euler, euler_first_sample),
    SamplerRow(EulerAncestralConfig, ancestral_schedule, euler, euler_first_sample),
    SamplerRow(DpmppConfig, dpmpp_schedule, solve),
    SamplerRow(UnipcConfig, UnipcSchedule, unipc),
    SamplerRow(DpmppSinglestepConfig, dpmpp_2s_schedule, solve),
    SamplerRow(DeisConfig, deis_schedule, solve),
    SamplerRow(FlowEulerConfig, flow_euler_schedule, euler),
    SamplerRow(EdmEulerConfig, EulerSchedule, euler, edm_first_sample),
    SamplerRow(EdmDpmppConfig, dpmpp_schedule, solve, edm_first_sample),
    SamplerRow(IpndmConfig, ipndm_schedule, solve),
    SamplerRow(HeunConfig, heun_schedule, two_calls_a_step, euler_first_sample),
    SamplerRow(Kdpm2Config, kdpm2_schedule, two_calls_a_step, euler_first_sample),
    SamplerRow(Kdpm2AncestralConfig, kdpm2_ancestral_schedule, two_calls_a_step, euler_first_sample),
    SamplerRow(LmsConfig, LmsSchedule, lms, euler_first_sample),
    SamplerRow(FlowHeunConfig, heun_schedule, two_calls_a_step),
    SamplerRow(FlowAncestralConfig, flow_ancestral_schedule, euler),
    SamplerRow(FlowLcmConfig, flow_lcm_schedule, euler),
    SamplerRow(FlowDpmppConfig, dpmpp_schedule, solve),
    SamplerRow(FlowSinglestepConfig, dpmpp_2s_schedule, solve),
    SamplerRow(FlowDeisConfig, deis_schedule, solve),
    SamplerRow(FlowUnipcConfig, UnipcSchedule, unipc),
    SamplerRow(TcdConfig, TcdSchedule, tcd),
    SamplerRow(ConsistencyConfig, ConsistencySchedule, consistency, first_consistency_sample),
)

SAMPLERS: Mapping[str, type[SamplerConfig]] = {row.config.name: row.config for row in ROWS}
"""The config class of each sampler, by name."""

_BY_CONFIG = {row.config: row for row in ROWS}
ALIASES: Mapping[str, type[SamplerConfig]] = {
    "DDIMParallelScheduler": DdimConfig,
    "DDPMParallelScheduler": DdpmConfig,
    "DDIMInverseScheduler": DdimConfig,  # encode runs it; pictures are made in the other direction
}
"""Scheduler classes whose files have the keys of another class, and for which its sampler runs."""
FLOW_SOLVERS: Mapping[str, type[SamplerConfig]] = {
    row.config.scheduler_class: row.config for row in ROWS if issubclass(row.config, FlowSolverConfig)
}
"""The config class for a scheduler class whose file has ``use_flow_sigmas``."""
BY_CLASS: Mapping[str, type[SamplerConfig]] = {
    **{row.config.scheduler_class: row.config for row in ROWS if not issubclass(row.config, FlowSolverConfig)},
    **ALIASES,
}
"""The config class for each scheduler class."""


@functools.lru_cache(maxsize=64)
def schedule_of(config: SamplerConfig, num_steps: int, strength: float = 1.0) -> Schedule:
    """The schedule of a run. Raises ConfigError if the sampler cannot make this number of steps.

    Its ``timesteps`` are the network's timesteps, one per call: their number is the number of network calls.
    """
    return _BY_CONFIG[type(config)].schedule(config, num_steps, strength)


def first_sample(config: SamplerConfig, num_steps: int, noise: Sample) -> Sample:
    """x_T from standard normal ``noise``, float32 of any shape, as in diffusers: for most samplers ``noise`` itself."""
    return _BY_CONFIG[type(config)].first_sample(schedule_of(config, num_steps), noise)


def start(
    config: SamplerConfig,
    num_steps: int,
    sample: Sample,
    noise: NoiseSource | None = None,
    strength: float = 1.0,
) -> Sampler:
    """Start the sampler of ``config``: returns its generator.

    ``sample``: x_T, float32 of any shape; with ``strength`` < 1, an image at the noise level of the first remaining
    step. ``noise`` is required by samplers that add fresh noise. Raises ConfigError if the sampler cannot make this
    number of steps.
    """
    return _BY_CONFIG[type(config)].generator(schedule_of(config, num_steps, strength), sample, noise)


@functools.cache
def samplers_with(option: str, family: Family = "betas") -> tuple[str, ...]:
    """The names of the samplers that have the option ``option``, such as eta: those for ``family``, if any."""
    having = {name for name, config in SAMPLERS.items() if option in {one.name for one in dataclasses.fields(config)}}
    return tuple(n for n in samplers_for(family) if n in having) or tuple(n for n in SAMPLERS if n in having)


@functools.cache
def samplers_for(family: Family) -> tuple[str, ...]:
    """The names of the samplers for models of ``family``."""
    return tuple(name for name, config in SAMPLERS.items() if config.family == family)


_FAMILIES: Mapping[Family, str] = {
    "betas": "discrete betas",
    "flow": "flow matching, which has no betas",
    "edm": "EDM's σ-space, which has no betas",
    "consistency": "consistency models, which have no betas",
    "angle": "levels that are angles, without betas",
}


def with_sampler(config: SamplerConfig, name: str) -> SamplerConfig:
    """The config of sampler ``name`` for the model of ``config``.

    The options that both samplers have are copied: the noise schedule, the spacing, the clipping of x_0. Raises
    ConfigError for an unknown name, and if the sampler does not support the model's noise schedule.
    """
    if name in BY_CLASS:
        raise ConfigError(f"sampler {name!r} is called {BY_CLASS[name].name!r} here")
    if name not in SAMPLERS:
        raise _unknown_sampler(name)
    wanted = SAMPLERS[name]
    if type(config) is wanted:
        return config
    if config.family != wanted.family:
        fitting = ", ".join(samplers_for(config.family))
        raise ConfigError(
            f"{name} is for models of {_FAMILIES[wanted.family]}, and this model is one of {_FAMILIES[config.family]}: "
            f"take {fitting}"
        )
    if getattr(config, "zero_terminal_snr", False) and not hasattr(wanted, "zero_terminal_snr"):
        raise ConfigError(f"{name} has no zero_terminal_snr, which this model was trained with: take another sampler")
    shared = {field.name for field in dataclasses.fields(wanted)} & {f.name for f in dataclasses.fields(config)}
    return wanted(**{field: getattr(config, field) for field in shared})


def _unknown_sampler(name: str) -> ConfigError:
    """The error for an unknown sampler; other programs write DPM++ 2M for dpmpp-2m, and Euler a."""
    usual = name.lower().replace("+", "p").replace("_", "-").replace(" ", "-")
    error = unknown_value("sampler", usual, SAMPLERS)
    return type(error)(str(error).replace(shown(usual), shown(name), 1))


def changed_options(config: SamplerOptions) -> dict[str, Any]:
    """The options in which ``config`` differs from its defaults."""
    default = type(config)()
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(default, field.name)
    }
