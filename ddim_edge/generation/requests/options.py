"""Options: makes a model's request from generation options, and checks it. Needs no open network."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ...bundle.bundle import Bundle
from ...config import SamplerOptions, whole_number
from ...diffusion.samplers import SamplerConfig
from ...diffusion.samplers.table import samplers_with
from ...diffusion.step_cache import StepCache
from ...errors import ConfigError, shown
from ...version import __version__
from .clip_skip import check_clip_skip
from .control_images import check_controls, control_scales, with_controls
from .fitted_sampler import check_timesteps, check_variance, fitted_sampler
from .guidance import CFG_PLUS_PLUS_SCALE, check_guidance, default_guidance, default_image_guidance, default_negative
from .ip_adapters import check_ip_adapters, ip_adapter_scales, with_ip_adapter_images
from .loras import check_loras, used_loras
from .named_arrays import NamedArrays, check_named, fitted
from .option_table import Options
from .origin import Origin
from .other_names import OTHER_NAMES, right_name
from .picture import check_picture, default_noise_level, sides_of, with_picture
from .preset import with_preset
from .request import DEFAULT_BATCH_SIZE, Request
from .shape import sample_shape, shape_of
from .step_cache import check_cache
from .tiles import check_tiles, uses_tiles

IMAGE_STRENGTH = 0.8
"""The default strength for an initial image without a mask; with a mask it is 1."""

LATENT_BATCH_SIZE = 1
"""Latent models are large, and on a CPU a batch is no faster."""


def request_of(bundle: Bundle, options: Options) -> Request:
    """The request of options for a model; ConfigError for options that the model does not support.

    ``Pipeline.generate`` describes the options, and the defaults of those that are left out or None.
    """
    _check_names(options)
    _check_origin(options.get("origin"))
    given = with_preset(bundle, {name: value for name, value in options.items() if value is not None})
    labels, origin, prompts = given.pop("labels", None), given.get("origin"), _prompts(given.pop("prompt", ()))
    classes = _class_numbers(bundle, labels)
    tiling = given.pop("vae_tiling", None)
    _name_cache(given)
    config = _sampler(bundle, given.pop("sampler", None), given.pop("eta", None))
    picture = given.pop("images", None)
    wanted = sides_of(bundle, picture, given.pop("height", None), given.pop("width", None))
    own = bundle.defaults.height, bundle.defaults.width
    sizes = tuple(usual if side is None else side for side, usual in zip(wanted, own, strict=True))
    if "shape" in given:
        given["shape"] = shape_of(given["shape"])
    config = fitted_sampler(bundle, config, *sizes)
    controls, scale = given.pop("control_images", None), given.pop("control_scale", None)
    pictures, weight = given.pop("ip_adapter_images", None), given.pop("ip_adapter_scale", None)
    has_pictures = pictures is not None or bool(origin and origin.ip_adapter_images)
    plus_plus = given.get("guidance_mode") == "cfg++"
    given["loras"] = used_loras(bundle, given.pop("loras", None))
    named = fitted(bundle, given.pop("conditioning", None))
    defaults = {
        "num_images": _default_count(labels or prompts, origin, named),
        "num_steps": bundle.default_steps(config),
        "negative_prompt": default_negative(bundle, None if plus_plus else given.get("guidance_scale")),
        "height": sizes[0],
        "width": sizes[1],
        "noise_level": default_noise_level(bundle, given.pop("noise_level", None)),
        "strength": _default_strength(origin),
        "control_scale": control_scales(bundle, scale),
        "ip_adapter_scale": ip_adapter_scales(bundle, weight, has_images=has_pictures),
        "guidance_scale": CFG_PLUS_PLUS_SCALE if plus_plus else default_guidance(bundle),
        "batch_size": default_batch_size(bundle),
    }
    request = Request(**{**defaults, **given}, prompts=prompts, labels=classes, sampler=config, conditioning=named)
    request = dataclasses.replace(request, image_guidance_scale=default_image_guidance(bundle, request))
    if picture is not None:
        request = with_picture(bundle, request, picture)
    if controls is not None:
        request = with_controls(bundle, request, controls)
    if pictures is not None:
        request = with_ip_adapter_images(bundle, request, pictures)
    check_request(bundle, request)
    return dataclasses.replace(request, vae_tiling=uses_tiles(bundle, request, tiling))


def _check_names(options: Mapping[str, Any]) -> None:
    """Raise ConfigError for an unknown option, with its name here if another library calls it so."""
    for name in options.keys() - Options.__annotations__.keys():
        here = right_name(name, Options.__annotations__)
        hint = f"it is called {here} here" if name in OTHER_NAMES else f"did you mean {here}?" if here else ""
        if here == "origin" and name in OTHER_NAMES:
            hint = "give origin=Origin(image=…, mask=…, latents=…), with arrays such as read_picture returns"
            hint += "; images=… is the picture that a model takes beside the sample" if name == "image" else ""
        valid = f"the options are {', '.join(Options.__annotations__)}"
        raise ConfigError(f"there is no option {shown(name)}: {hint or valid}")


def _check_origin(origin: object) -> None:
    if origin is not None and not isinstance(origin, Origin):
        example = "Origin(image=read_picture('fox.png', pipeline.bundle.image_shape()))"
        raise ConfigError(f"origin must be an Origin, such as {example}, not {shown(origin)}")


def _name_cache(given: dict[str, Any]) -> None:
    """Put the cache in its one form, so that the same pictures have the same recipe; ``off`` is none."""
    if "cache" in given or "cache_threshold" in given:
        cache = StepCache.parse(given.get("cache", "off"), given.get("cache_threshold"))
        given["cache"] = None if cache is None else str(cache)


def check_request(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for a request that the model does not support."""
    check_timesteps(bundle, request)
    check_variance(bundle, request)
    check_guidance(bundle, request)
    check_cache(bundle, request)
    check_loras(bundle, request.loras)
    check_named(bundle, request.conditioning, request.num_images)
    shape = sample_shape(bundle, request)
    if request.origin is not None:
        request.origin.check_latents(shape)
        if request.origin.image is not None:
            request.origin.check_image(bundle.image_shape(request.height, request.width))
    _check_text(bundle, request)
    check_picture(bundle, request)
    check_clip_skip(bundle, request)
    check_controls(bundle, request)
    check_ip_adapters(bundle, request)
    if not request.safety_checker and not bundle.has_safety_checker:
        raise ConfigError(
            f"{bundle.name} has no safety checker to turn off: leave safety_checker (--no-safety-checker) out"
        )
    check_tiles(bundle, request)
    if bundle.inputs.takes_mask and (request.origin is None or request.origin.mask is None):
        raise ConfigError(f"{bundle.name} is an inpainting model: give an image and a mask")
    if bool(request.labels) != bool(bundle.labels):
        raise ConfigError(_wrong_labels(bundle, request))
    for label in request.labels:
        if label != bundle.null_class:
            whole_number("a label", label, low=0, high=len(bundle.labels) - 1)


def _wrong_labels(bundle: Bundle, request: Request) -> str:
    if bundle.labels:
        return f"{bundle.name} has {len(bundle.labels)} classes, and the request has no labels: give at least one"
    return f"{bundle.name} has no classes, and the request has the labels {shown(list(request.labels))}: leave them out"


def default_batch_size(bundle: Bundle) -> int:
    """The default number of images that are denoised together."""
    return LATENT_BATCH_SIZE if bundle.vae else DEFAULT_BATCH_SIZE


def _check_text(bundle: Bundle, request: Request) -> None:
    if bundle.inputs.text and not request.prompts:
        raise ConfigError(f"{bundle.name} is a text-to-image model: give a prompt (--prompt); it may be empty")
    if request.prompts and not bundle.inputs.text:
        raise ConfigError(f"{bundle.name} does not take text: leave the prompt out")
    if request.negative_prompt is not None and bundle.inputs.guidance_width is not None:
        raise ConfigError(
            f"{bundle.name} has built-in guidance, which takes no negative prompt: leave negative_prompt out"
        )


def recipe_of(
    bundle: Bundle, request: Request, model_sha256: str | None = None, *, precision: str = "float32"
) -> dict[str, Any]:
    """The settings that make the images of ``request`` again, as JSON values.

    ``model_sha256``: the hash of the model that made them; None for that of ``bundle``. ``precision``: what it computed
    in, which has an entry where it is not float32.
    """
    names = [bundle.label_name(label) for label in request.labels]
    model = {"model": bundle.name, "model_sha256": model_sha256 or bundle.sha256, "version": __version__}
    eta = getattr(request.sampler, "eta", None)
    rounded = {} if precision == "float32" else {"precision": precision}
    return {**model, **rounded, "label_names": names, **({} if eta is None else {"eta": eta}), **request.to_json()}


def _prompts(prompt: object) -> tuple[str, ...]:
    if isinstance(prompt, str):
        return (prompt,)
    if not isinstance(prompt, Sequence) or not all(isinstance(text, str) for text in prompt):
        raise ConfigError(f"prompt must be a text or a list of texts, not {shown(prompt)}")
    return tuple(prompt)


def _class_numbers(bundle: Bundle, labels: Sequence[str | int] | None) -> tuple[int, ...]:
    if labels is None:
        return tuple(range(len(bundle.labels)))
    if isinstance(labels, str) or not isinstance(labels, Sequence) or not labels:
        raise ConfigError(
            f"labels must be a list of class names or numbers, not {shown(labels)}; without it, all classes"
        )
    return tuple(bundle.class_index(label) for label in labels)


def _sampler(bundle: Bundle, wanted: SamplerConfig | str | None, eta: float | None) -> SamplerConfig:
    if wanted is None:
        wanted = bundle.own_sampler if eta is None else samplers_with("eta")[0]
    config = bundle.sampler(wanted) if isinstance(wanted, str) else wanted
    if not isinstance(config, SamplerOptions):
        raise ConfigError(
            f"sampler must be a name, such as 'ddim', or a config, such as DdimConfig(), not {shown(wanted)}"
        )
    if eta is None:
        return config
    takes_eta = samplers_with("eta", config.family)
    if config.name not in takes_eta:
        names = " or ".join(takes_eta)
        raise ConfigError(
            f"eta is an option of {names}, and the sampler is {config.name}: leave it out, or use {names}"
        )
    return config.replace(eta=eta)


def _default_count(labels: Sequence[str | int] | None, origin: Origin | None, named: NamedArrays | None) -> int:
    rows = 1 if named is None else named.num_rows
    if rows > 1 or labels or origin is None or origin.latents is None:
        return rows if rows > 1 else len(labels or [0])
    return len(origin.latents)


def _default_strength(origin: Origin | None) -> float:
    return IMAGE_STRENGTH if origin is not None and origin.image is not None and origin.mask is None else 1.0
