"""The types of the generation options, as ``Pipeline.generate`` takes them."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from numpy.typing import ArrayLike

from ...diffusion.guidance import GuidanceMode
from ...diffusion.noise import NoiseKind
from ...diffusion.samplers import SamplerConfig
from .control_images import ControlImage
from .ip_adapters import PromptImage
from .origin import Origin
from .picture import Picture


class Options(TypedDict, total=False):
    """The keyword arguments of ``Pipeline.generate`` with their types; all are optional."""

    num_images: int | None
    labels: Sequence[str | int] | None
    prompt: str | Sequence[str] | None
    negative_prompt: str | None
    long_prompt: bool
    prompt_weights: bool
    clip_skip: int
    height: int | None
    width: int | None
    shape: Sequence[int] | None
    vae_tiling: bool | None
    num_steps: int | None
    sampler: SamplerConfig | str | None
    eta: float | None
    seed: int
    guidance_scale: float | None
    guidance_mode: GuidanceMode
    guidance_rescale: float
    guidance_interval: tuple[float, float] | None
    image_guidance_scale: float | None
    preset: str | None
    cache: str | None
    cache_threshold: float | None
    conditioning: Mapping[str, ArrayLike] | None
    loras: Mapping[str, float] | Sequence[str] | None
    images: Picture | Sequence[Picture] | None
    noise_level: int | None
    origin: Origin | None
    strength: float | None
    control_images: ControlImage | Sequence[ControlImage] | None
    control_scale: float | Sequence[float] | None
    ip_adapter_images: PromptImage | Sequence[PromptImage] | None
    ip_adapter_scale: float | Sequence[float] | None
    safety_checker: bool
    batch_size: int | None
    noise: NoiseKind
