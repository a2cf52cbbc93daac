"""The options of the samplers as frozen data, checked when they are made; JSON is read here only."""

from .checks import whole_number
from .choose import SAMPLERS, changed_options, sampler_config, with_sampler
from .json_file import read_json
from .noise_schedule import (
    AlphaClipStrategy,
    BetaSchedule,
    ClipConfig,
    NoiseScheduleConfig,
    PredictionType,
    ThresholdConfig,
    TimestepSpacing,
)
from .samplers import (
    DdimConfig,
    DdpmConfig,
    DpmppConfig,
    EulerAncestralConfig,
    EulerConfig,
    LcmConfig,
    PndmConfig,
    SamplerConfig,
    Transition,
    UnipcConfig,
)

__all__ = [
    "SAMPLERS",
    "AlphaClipStrategy",
    "BetaSchedule",
    "ClipConfig",
    "DdimConfig",
    "DdpmConfig",
    "DpmppConfig",
    "EulerAncestralConfig",
    "EulerConfig",
    "LcmConfig",
    "NoiseScheduleConfig",
    "PndmConfig",
    "PredictionType",
    "SamplerConfig",
    "ThresholdConfig",
    "TimestepSpacing",
    "Transition",
    "UnipcConfig",
    "changed_options",
    "read_json",
    "sampler_config",
    "whole_number",
    "with_sampler",
]
