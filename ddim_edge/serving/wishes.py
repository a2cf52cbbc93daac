"""From what a client wishes to a request that the model can honour."""

import random
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from ..bundle import NO_CLASS, Bundle
from ..options import Options, request_of
from ..origin import Origin
from ..request import Request
from .refusals import Unfit
from .schemas import OutputFormat, Wish
from .settings import Settings

RANDOM = "random"


class Format(NamedTuple):
    """How the images are given; ``quality`` is JPEG's and WebP's."""

    name: OutputFormat
    quality: int
    as_url: bool


def wished(wish: Wish, bundle: Bundle, settings: Settings, origin: Origin | None = None) -> Request:
    """The request, checked against the model and the server's limits; Unfit or ConfigError where it does not fit.

    One image steps at a time in its recipe, so `ddim-edge run --from-image` makes it without the company that it had.
    """
    _check(wish, bundle, settings)
    seed = secrets.randbelow(2**31) if wish.seed is None else wish.seed
    count = wish.n or 1
    options: Options = {
        "num_images": count,
        "labels": _labels(wish, bundle, seed, count, origin),
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
    request = request_of(bundle, options)
    _check_steps(request.num_steps, settings)  # where nobody said how many, the model's file did
    return request


def format_of(wish: Wish) -> Format:
    """How to give the images; Unfit for a compression that PNG does not have."""
    name = wish.output_format or "png"
    if name == "png" and wish.output_compression not in (None, 100):
        raise Unfit("output_compression is for jpeg and webp: png loses nothing", param="output_compression")
    quality = 90 if wish.output_compression is None else wish.output_compression
    return Format(name, quality, wish.response_format == "url")


def size_of(bundle: Bundle) -> tuple[int, int]:
    """Width and height of a model's images."""
    _, height, width = bundle.sample_shape
    return width, height


def _check(wish: Wish, bundle: Bundle, settings: Settings) -> None:
    width, height = size_of(bundle)
    if wish.size not in (None, "auto", f"{width}x{height}"):
        raise Unfit(f"size: {bundle.name} makes images of {width}x{height}, not {wish.size}", param="size")
    if wish.negative_prompt is not None:
        raise Unfit(f"negative_prompt: {bundle.name} takes no text", param="negative_prompt")
    _check_steps(wish.num_inference_steps or 1, settings)
    if (wish.n or 1) > settings.max_images:
        raise Unfit(f"n: this server makes at most {settings.max_images} images a request", param="n")


def _check_steps(steps: int, settings: Settings) -> None:
    if steps > settings.max_steps:
        message = f"num_inference_steps: this server makes at most {settings.max_steps}, not {steps}"
        raise Unfit(message, param="num_inference_steps")


def _labels(wish: Wish, bundle: Bundle, seed: int, count: int, origin: Origin | None) -> Sequence[str | int] | None:
    """The classes that a prompt or ``labels`` name; None for a model without classes."""
    said = [part.strip() for part in wish.prompt.split(",") if part.strip()]
    anything = not said or said == [RANDOM]
    if not anything and wish.labels:
        raise Unfit("labels: the prompt says them already; leave one of the two empty", param="labels")
    if not bundle.labels:
        if wish.labels or not anything:
            raise Unfit(f"prompt: {bundle.name} knows no text and no classes; leave it empty", param="prompt")
        return None
    if wish.labels or not anything:
        return wish.labels or said
    if origin is not None and bundle.null_class is not None:
        return [NO_CLASS]
    return random.Random(seed).choices(range(len(bundle.labels)), k=count)
