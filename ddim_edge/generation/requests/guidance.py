"""Guidance: which one a model, its sampler and its step cache allow."""

from ...bundle.bundle import Bundle
from ...diffusion.guidance import guided_timesteps
from ...diffusion.samplers.cfg_plus_plus import check_sampler
from ...errors import ConfigError
from .request import Request

CFG_PLUS_PLUS_SCALE = 0.6
"""The default scale of CFG++, which its authors compare with 7.5 of classifier-free guidance."""


def check_guidance(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for guidance that the model, the sampler or the step cache does not allow."""
    guided_timesteps(request.sampler, request.guidance_interval)
    plus_plus = request.guidance_mode == "cfg++"
    if (plus_plus or request.guidance_scale != 1) and bundle.null_class is None and not bundle.inputs.text:
        what = "guidance_mode cfg++" if plus_plus else f"guidance_scale {request.guidance_scale:g}"
        raise ConfigError(
            f"{what} needs a null class, and {bundle.name} has none (model_index.json would name it as null_class): "
            "leave the guidance at 1"
        )
    if plus_plus:
        _check_plus_plus(bundle, request)


def _check_plus_plus(bundle: Bundle, request: Request) -> None:
    if bundle.inputs.guidance_width is not None:
        raise ConfigError(f"{bundle.name} has built-in guidance, which has no form of CFG++: leave guidance_mode out")
    if request.step_cache is not None:
        raise ConfigError(
            f"guidance_mode cfg++ does not work with cache {request.step_cache}, which keeps no unconditional "
            "prediction: leave one of them out"
        )
    check_sampler(request.sampler)
