"""Options: what a model can be told to make, and the request that they become. No network is needed for that."""

from collections.abc import Sequence
from typing import Any, TypedDict

from .bundle import Bundle
from .config import DdimConfig, SamplerConfig, whole_number
from .errors import ConfigError
from .guidance import guided_timesteps
from .noise import NoiseKind
from .origin import Origin
from .request import Request
from .samplers import schedule_of
from .version import __version__

IMAGE_STRENGTH = 0.8
"""How much an image to start from is changed where nobody says; with a mask, the masked part wholly."""


class Options(TypedDict, total=False):
    """What ``Pipeline.generate`` can be told; every option may be left out."""

    num_images: int | None
    labels: Sequence[str | int] | None
    num_steps: int | None
    eta: float | None
    seed: int
    noise: NoiseKind
    guidance_scale: float
    guidance_rescale: float
    guidance_interval: tuple[float, float] | None
    batch_size: int
    sampler: SamplerConfig | str | None
    origin: Origin | None
    strength: float | None


def request_of(bundle: Bundle, options: Options) -> Request:
    """The request of options for a model; ConfigError where they mean nothing for it.

    See ``Pipeline.generate`` for what they mean and for what takes the place of those that are left out or None.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    labels, origin = given.pop("labels", None), given.get("origin")
    config = _sampler(bundle, given.pop("sampler", None), given.pop("eta", None))
    usual = {
        "num_images": _usual_count(labels, origin),
        "num_steps": bundle.usual_steps(config),
        "strength": _usual_strength(origin),
    }
    request = Request(**{**usual, **given}, labels=_classes(bundle, labels), sampler=config)
    check_request(bundle, request)
    return request


def check_request(bundle: Bundle, request: Request) -> None:
    """Refuse a request that the model cannot honour with ConfigError."""
    schedule_of(request.sampler, request.num_steps, request.strength)
    guided_timesteps(request.sampler, request.guidance_interval)
    if request.origin is not None:
        request.origin.check_shape(bundle.sample_shape)
    if bool(request.labels) != bool(bundle.labels):
        raise ConfigError(f"{bundle.name} has {len(bundle.labels)} classes, the request {request.labels}")
    for label in request.labels:
        if label != bundle.null_class:
            whole_number("a label", label, low=0, high=len(bundle.labels) - 1)
    if request.guidance_scale != 1 and bundle.null_class is None:
        raise ConfigError(
            f"guidance_scale {request.guidance_scale:g} needs a null class, and {bundle.name} has none "
            "(model_index.json would name it as null_class): leave the guidance at 1"
        )


def recipe_of(bundle: Bundle, request: Request) -> dict[str, Any]:
    """What it takes to make the images of ``request`` again, as JSON values."""
    names = [bundle.label_name(label) for label in request.labels]
    model = {"model": bundle.name, "model_sha256": bundle.sha256, "version": __version__}
    eta = {"eta": request.sampler.eta} if isinstance(request.sampler, DdimConfig) else {}
    return {**model, "label_names": names, **eta, **request.to_json()}


def _classes(bundle: Bundle, labels: Sequence[str | int] | None) -> tuple[int, ...]:
    if labels is None:
        return tuple(range(len(bundle.labels)))
    if isinstance(labels, str) or not labels:
        raise ConfigError(f"labels must be a list of class names or numbers, not {labels!r}")
    return tuple(bundle.class_index(label) for label in labels)


def _sampler(bundle: Bundle, wanted: SamplerConfig | str | None, eta: float | None) -> SamplerConfig:
    if wanted is None:
        wanted = bundle.scheduler if eta is None else "ddim"
    config = bundle.sampler(wanted) if isinstance(wanted, str) else wanted
    if eta is None:
        return config
    if not isinstance(config, DdimConfig):
        raise ConfigError(f"eta is an option of ddim, and the sampler is {config.name}: leave it out, or take ddim")
    return config.replace(eta=eta)


def _usual_count(labels: Sequence[str | int] | None, origin: Origin | None) -> int:
    if labels or origin is None or origin.latents is None:
        return len(labels or [0])
    return len(origin.latents)


def _usual_strength(origin: Origin | None) -> float:
    return IMAGE_STRENGTH if origin is not None and origin.image is not None and origin.mask is None else 1.0
