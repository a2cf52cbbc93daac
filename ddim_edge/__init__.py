"""Diffusion models on the edge without PyTorch: a folder of ONNX graphs goes in, images come out.

>>> import ddim_edge
>>> pipeline = ddim_edge.load("fashion-mnist", provider="cpu")
>>> result = pipeline.generate(labels=["sneaker", "bag"], num_steps=50, seed=0, guidance_scale=2.0)
>>> result.save("out.png")
"""

from .config import DdimConfig, SamplerConfig, sampler_config
from .engine import Engine, Job
from .errors import (
    BundleError,
    ConfigError,
    DdimEdgeError,
    ExportError,
    OutputError,
    PredictionError,
    ProviderError,
)
from .pipeline import Pipeline, Progress, Result, load
from .request import Request
from .samplers import Query, Sampler, ddim, start
from .schedule import DdimSchedule
from .session import Session
from .version import __version__

__all__ = [
    "BundleError",
    "ConfigError",
    "DdimConfig",
    "DdimEdgeError",
    "DdimSchedule",
    "Engine",
    "ExportError",
    "Job",
    "OutputError",
    "Pipeline",
    "PredictionError",
    "Progress",
    "ProviderError",
    "Query",
    "Request",
    "Result",
    "Sampler",
    "SamplerConfig",
    "Session",
    "__version__",
    "ddim",
    "load",
    "sampler_config",
    "start",
]
