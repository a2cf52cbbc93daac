"""Sampler options as frozen dataclasses, checked on construction, and the mapping from diffusers' keys."""

from .checks import number, whole_number
from .edm import EdmConfig, PreconditionedConfig
from .flow import FlowConfig
from .flow_solver import FlowSolverConfig
from .json_file import parse_json, read_json
from .noise_levels import NoiseLevelsConfig, OdeSolverConfig, RealTimeConfig
from .noise_schedule import (
    AlphaClipStrategy,
    BetaSchedule,
    BetasPrediction,
    ClipConfig,
    NoiseScheduleConfig,
    ThresholdConfig,
    TimestepSpacing,
    Transition,
)
from .sampler_options import Family, PredictionType, SamplerOptions
from .sigma_spacing import SigmaSpacingConfig

__all__ = [
    "AlphaClipStrategy",
    "BetaSchedule",
    "BetasPrediction",
    "ClipConfig",
    "EdmConfig",
    "Family",
    "FlowConfig",
    "FlowSolverConfig",
    "NoiseLevelsConfig",
    "NoiseScheduleConfig",
    "OdeSolverConfig",
    "PreconditionedConfig",
    "PredictionType",
    "RealTimeConfig",
    "SamplerOptions",
    "SigmaSpacingConfig",
    "ThresholdConfig",
    "TimestepSpacing",
    "Transition",
    "number",
    "parse_json",
    "read_json",
    "whole_number",
]
