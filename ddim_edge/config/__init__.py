"""Sampler options as frozen dataclasses, checked on construction, and the mapping from diffusers' keys."""

from .checks import number, whole_number
from .json_file import parse_json, read_json
from .noise_levels import NoiseLevelsConfig, OdeSolverConfig
from .noise_schedule import (
    AlphaClipStrategy,
    BetaSchedule,
    ClipConfig,
    NoiseScheduleConfig,
    PredictionType,
    ThresholdConfig,
    TimestepSpacing,
    Transition,
)

__all__ = [
    "AlphaClipStrategy",
    "BetaSchedule",
    "ClipConfig",
    "NoiseLevelsConfig",
    "NoiseScheduleConfig",
    "OdeSolverConfig",
    "PredictionType",
    "ThresholdConfig",
    "TimestepSpacing",
    "Transition",
    "number",
    "parse_json",
    "read_json",
    "whole_number",
]
