"""From what a client wishes to a request that the model can honour."""

import random
import re
import secrets
from typing import NamedTuple

from ...bundle.bundle import NO_CLASS, Bundle
from ...errors import ConfigError
from ...generation.requests.options import Options, request_of
from ...generation.requests.origin import Origin
from ...generation.requests.request import Request
from ..errors import Unfit
from ..settings import Settings
from .schemas import OutputFormat, Wish

RANDOM = "random"
LARGEST = 4
"""How many times as many pixels as a usual image one may have."""


class Format(NamedTuple):
    """How the images are given; ``quality`` is JPEG's and WebP's."""

    name: OutputFormat
    quality: int
    as_url: bool


def wished(wish: Wish, bundle: Bundle, settings: Settings, origin: Origin | None = None) -> Request:
    """The request, checked against the model and the server's limits; Unfit or ConfigError where it does not fit.

    One image steps at a time in its recipe, so `ddim-edge run --from-image` makes it without the company that it had.
    """
    _check(wish, settings)
    height, width = sides_of(wish, bundle)
    seed = secrets.randbelow(2**31) if wish.seed is None else wish.seed
    count = wish.n or 1
    options: Options = {
        "num_images": count,
        "height": height,
        "width": width,
        "num_steps": wish.num_inference_steps,
        "eta": wish.eta,
        "seed": seed,
        "batch_size": 1,
        "sampler": wish.sampler,
        "origin": origin,
        "strength": getattr(wish, "strength", None),
    }
    if wish.guidance_scale is not None:
        options["guidance_scale"] = wish.guidance_scale
    told = _text(wish) if bundle.inputs.text else _labels(wish, bundle, seed, count, origin)
    request = request_of(bundle, {**options, **told})
    _check_steps(request.num_steps, settings)  # where nobody said how many, the model's file did
    return request


def format_of(wish: Wish) -> Format:
    """How to give the images; Unfit for a compression that PNG does not have."""
    name = wish.output_format or "png"
    if name == "png" and wish.output_compression not in (None, 100):
        raise Unfit("output_compression is for jpeg and webp: png loses nothing", param="output_compression")
    quality = 90 if wish.output_compression is None else wish.output_compression
    return Format(name, quality, wish.response_format == "url")


def sides_of(wish: Wish, bundle: Bundle) -> tuple[int | None, int | None]:
    """Height and width, each None for the model's own; Unfit for a size that it cannot make, or that is too large."""
    if wish.size in (None, "auto"):
        return None, None
    _, *usual = bundle.image_shape()
    sides = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", wish.size or "")
    if sides is None:
        raise Unfit(f"size: it is auto, or WIDTHxHEIGHT, such as {usual[1]}x{usual[0]}", param="size")
    width, height = (int(side) for side in sides.groups())
    if width * height > LARGEST * usual[0] * usual[1]:
        message = f"size: {wish.size} is more than {LARGEST} times the pixels of {usual[1]}x{usual[0]}, which is usual"
        raise Unfit(f"{message} for {bundle.name}", param="size")
    try:
        bundle.image_shape(height, width)
    except ConfigError as error:
        raise Unfit(f"size: {error}", param="size") from None
    return height, width


def _check(wish: Wish, settings: Settings) -> None:
    _check_steps(wish.num_inference_steps or 1, settings)
    if (wish.n or 1) > settings.max_images:
        raise Unfit(f"n: this server makes at most {settings.max_images} images a request", param="n")


def _check_steps(steps: int, settings: Settings) -> None:
    if steps > settings.max_steps:
        message = f"num_inference_steps: this server makes at most {settings.max_steps}, not {steps}"
        raise Unfit(message, param="num_inference_steps")


def _text(wish: Wish) -> Options:
    """What a model of text is told."""
    if wish.labels:
        raise Unfit("labels: the model reads text; say it in the prompt", param="labels")
    return {
        "prompt": wish.prompt,
        "negative_prompt": wish.negative_prompt,
        "long_prompt": bool(wish.long_prompt),
        "prompt_weights": bool(wish.prompt_weights),
    }


def _labels(wish: Wish, bundle: Bundle, seed: int, count: int, origin: Origin | None) -> Options:
    """The classes that a prompt or ``labels`` name; nothing for a model without classes."""
    for name in ("negative_prompt", "long_prompt", "prompt_weights"):
        if getattr(wish, name):
            raise Unfit(f"{name}: {bundle.name} takes no text", param=name)
    said = [part.strip() for part in wish.prompt.split(",") if part.strip()]
    anything = not said or said == [RANDOM]
    if not anything and wish.labels:
        raise Unfit("labels: the prompt says them already; leave one of the two empty", param="labels")
    if not bundle.labels:
        if wish.labels or not anything:
            raise Unfit(f"prompt: {bundle.name} knows no text and no classes; leave it empty", param="prompt")
        return {}
    if wish.labels or not anything:
        return {"labels": wish.labels or said}
    if origin is not None and bundle.null_class is not None:
        return {"labels": [NO_CLASS]}
    return {"labels": random.Random(seed).choices(range(len(bundle.labels)), k=count)}
