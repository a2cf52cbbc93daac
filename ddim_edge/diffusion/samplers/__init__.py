"""Samplers: generators that yield queries and receive predictions. One file each; ``table`` lists them."""

from .ddim import DdimSchedule, ddim
from .ddim_coefficients import DdimConfig
from .ddpm import DdpmConfig
from .deis import DeisConfig
from .dpmpp import DpmppConfig, EdmDpmppConfig
from .dpmpp_2s import DpmppSinglestepConfig
from .edm_euler import EdmEulerConfig
from .euler import EulerAncestralConfig, EulerConfig
from .flow_euler import FlowEulerConfig
from .ipndm import IpndmConfig
from .lcm import LcmConfig
from .pndm import PndmConfig
from .query import NoiseSource, Query, Sampler, Schedule
from .scheduler_file import sampler_config
from .table import (
    SAMPLERS,
    SamplerConfig,
    changed_options,
    first_sample,
    samplers_for,
    samplers_with,
    schedule_of,
    start,
    with_sampler,
)
from .unipc import UnipcConfig

__all__ = [
    "SAMPLERS",
    "DdimConfig",
    "DdimSchedule",
    "DdpmConfig",
    "DeisConfig",
    "DpmppConfig",
    "DpmppSinglestepConfig",
    "EdmDpmppConfig",
    "EdmEulerConfig",
    "EulerAncestralConfig",
    "EulerConfig",
    "FlowEulerConfig",
    "IpndmConfig",
    "LcmConfig",
    "NoiseSource",
    "PndmConfig",
    "Query",
    "Sampler",
    "SamplerConfig",
    "Schedule",
    "UnipcConfig",
    "changed_options",
    "ddim",
    "first_sample",
    "sampler_config",
    "samplers_for",
    "samplers_with",
    "schedule_of",
    "start",
    "with_sampler",
]
