"""Guidance: which one a model, its sampler and its step cache allow."""

from ...bundle.bundle import Bundle
from ...diffusion.guidance import guided_timesteps
from ...diffusion.samplers.cfg_plus_plus import check_sampler
from ...errors import ConfigError
from .request import Request

TEXT_GUIDANCE, POOLED_TEXT_GUIDANCE, EMBEDDED_GUIDANCE = 7.5, 5.0, 8.5
IMAGE_GUIDANCE = 1.5
"""The default guidance scale of the picture: that of InstructPix2Pix."""
CFG_PLUS_PLUS_SCALE = 0.6
"""The default scale of CFG++, which its authors compare with 7.5 of classifier-free guidance."""


def default_guidance(bundle: Bundle) -> float:
    """The default guidance scale: the author's, else diffusers' for text-to-image models and 1 (off) for others."""
    if bundle.defaults.guidance_scale is not None:
        return bundle.defaults.guidance_scale
    if not bundle.inputs.text:
        return 1.0
    if bundle.inputs.guidance_width is not None:
        return EMBEDDED_GUIDANCE
    return POOLED_TEXT_GUIDANCE if bundle.inputs.pooled else TEXT_GUIDANCE


def default_negative(bundle: Bundle, scale: object) -> str | None:
    """The author's negative prompt; None where guidance, which it needs, is turned off."""
    off = isinstance(scale, (int, float)) and scale <= 1
    return None if off else bundle.defaults.negative_prompt


def default_image_guidance(bundle: Bundle, request: Request) -> float | None:
    """The request's guidance scale of the picture, by default 1.5 where the model has one and guidance is on."""
    if request.image_guidance_scale is None and bundle.inputs.guides_picture and request.guided:
        return IMAGE_GUIDANCE
    return request.image_guidance_scale


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
    if request.image_guidance_scale is not None:
        _check_picture(bundle, request)
    if plus_plus:
        _check_plus_plus(bundle, request)


def _check_picture(bundle: Bundle, request: Request) -> None:
    if not bundle.inputs.guides_picture:
        raise ConfigError(
            f"{bundle.name} has one guidance scale, and none of a picture: leave image_guidance_scale "
            "(--image-guidance-scale) out"
        )
    if not request.guided:
        raise ConfigError(
            f"image_guidance_scale needs guidance, which is off at guidance_scale {request.guidance_scale:g}: set "
            "guidance_scale above 1, too"
        )


def _check_plus_plus(bundle: Bundle, request: Request) -> None:
    if bundle.inputs.guides_picture:
        raise ConfigError(f"{bundle.name} has two guidance scales, which CFG++ has no form of: leave guidance_mode out")
    if bundle.inputs.guidance_width is not None:
        raise ConfigError(f"{bundle.name} has built-in guidance, which has no form of CFG++: leave guidance_mode out")
    if request.step_cache is not None:
        raise ConfigError(
            f"guidance_mode cfg++ does not work with cache {request.step_cache}, which keeps no unconditional "
            "prediction: leave one of them out"
        )
    check_sampler(request.sampler)
