"""Runs diffusion models without PyTorch: from a folder of ONNX graphs to images.

>>> import ddim_edge
>>> pipeline = ddim_edge.load("fashion-mnist", provider="cpu")
>>> result = pipeline.generate(labels=["sneaker", "bag"], num_steps=50, seed=0, guidance_scale=2.0)
>>> result.save("out.png")
"""

from .diffusion.noise import noise_stream
from .diffusion.samplers import (
    DdimConfig,
    DdimSchedule,
    DdpmConfig,
    DpmppConfig,
    EulerAncestralConfig,
    EulerConfig,
    LcmConfig,
    PndmConfig,
    Query,
    Sampler,
    SamplerConfig,
    UnipcConfig,
    ddim,
    first_sample,
    sampler_config,
    schedule_of,
    start,
)
from .errors import (
    ActionError,
    BuildError,
    BundleError,
    ConfigError,
    DdimEdgeError,
    DeadlineError,
    DeviceMemoryError,
    ExportError,
    OutputError,
    PredictionError,
    ProviderError,
)
from .generation.engine import Engine, Job
from .generation.interpolation import interpolate
from .generation.inversion import encode, from_latents
from .generation.many import MadeImage
from .generation.pipeline import Pipeline, load
from .generation.requests.latents_file import Latents, read_latents
from .generation.requests.origin import Origin
from .generation.requests.request import Request
from .generation.results import Progress, Result
from .images.decode import read_mask, read_picture
from .networks.denoiser import Denoiser
from .policy.load import load_policy
from .policy.policy import Policy
from .runtime.providers.device import Device
from .runtime.sessions.session import Session
from .version import __version__

__all__ = [
    "ActionError",
    "BuildError",
    "BundleError",
    "ConfigError",
    "DdimConfig",
    "DdimEdgeError",
    "DdimSchedule",
    "DdpmConfig",
    "DeadlineError",
    "Denoiser",
    "Device",
    "DeviceMemoryError",
    "DpmppConfig",
    "Engine",
    "EulerAncestralConfig",
    "EulerConfig",
    "ExportError",
    "Job",
    "Latents",
    "LcmConfig",
    "MadeImage",
    "Origin",
    "OutputError",
    "Pipeline",
    "PndmConfig",
    "Policy",
    "PredictionError",
    "Progress",
    "ProviderError",
    "Query",
    "Request",
    "Result",
    "Sampler",
    "SamplerConfig",
    "Session",
    "UnipcConfig",
    "__version__",
    "ddim",
    "encode",
    "first_sample",
    "from_latents",
    "interpolate",
    "load",
    "load_policy",
    "noise_stream",
    "read_latents",
    "read_mask",
    "read_picture",
    "sampler_config",
    "schedule_of",
    "start",
]
