"""Converts a request body to a Request, checked against the model and the server's limits."""

import random
import re
import secrets
from typing import NamedTuple, cast

from ...bundle.bundle import Bundle
from ...bundle.class_names import NO_CLASS
from ...errors import ConfigError
from ...generation.requests.named_arrays import NamedArrays
from ...generation.requests.option_table import Options, http_options
from ...generation.requests.options import request_of
from ...generation.requests.origin import Origin
from ...generation.requests.request import Request
from ..errors import BadRequest
from ..settings import Settings
from .schemas import ImageBody, LoraBody, OutputFormat

RANDOM = "random"
_TOLD = ("prompt", "negative_prompt", "long_prompt", "prompt_weights", "clip_skip", "labels")
"""The options that depend on whether the model reads text or has classes."""
LARGEST = 4
"""Most pixels of an image, as a multiple of the model's usual number of pixels."""


class FileFormat(NamedTuple):
    """The file format of the images; ``quality`` is that of JPEG and WebP, 0 to 100."""

    name: OutputFormat
    quality: int
    as_url: bool


def request_from_body(
    body: ImageBody,
    bundle: Bundle,
    settings: Settings,
    origin: Origin | None = None,
    conditioning: NamedArrays | None = None,
) -> Request:
    """The request of a body; raises BadRequest or ConfigError if model or server do not support it.

    ``conditioning``: for the inputs that the model takes by name; without ``n`` each of its rows gets an image.
    Its recipe says batch size 1, so that `ddim-edge run --from-image` makes each image again in a batch of its own.
    """
    _check_limits(body, settings)
    height, width = parse_size(body, bundle)
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    count = body.n or (1 if conditioning is None else conditioning.num_rows)
    given = {option.name: getattr(body, field, None) for field, option in http_options().items()}
    own: Options = {"num_images": count, "height": height, "width": width, "seed": seed, "origin": origin}
    if body.loras:
        own["loras"] = _scales(body.loras)
    told = _text_options(body) if bundle.inputs.text else _label_options(body, bundle, seed, count, origin)
    without = {name: value for name, value in given.items() if name not in _TOLD}
    named = {"conditioning": conditioning, "batch_size": 1}
    request = request_of(bundle, cast(Options, {**without, **own, **told, **named}))
    check_steps(request.num_steps, settings)  # the model's scheduler file may have set them
    return request


def _scales(loras: list[LoraBody]) -> dict[str, float]:
    """The scale of each LoRA by its name; raises BadRequest for one that is there twice."""
    scales = {lora.name: lora.scale for lora in loras}
    if len(scales) < len(loras):
        raise BadRequest("loras: a name is there twice; give each LoRA once", param="loras")
    return scales


def parse_file_format(body: ImageBody) -> FileFormat:
    """The file format that the body asks for; raises BadRequest for a compression of PNG."""
    name = body.output_format or "png"
    if name == "png" and body.output_compression not in (None, 100):
        raise BadRequest("output_compression: only for jpeg and webp; png is lossless", param="output_compression")
    quality = 90 if body.output_compression is None else body.output_compression
    return FileFormat(name, quality, body.response_format == "url")


def parse_size(body: ImageBody, bundle: Bundle) -> tuple[int | None, int | None]:
    """Height and width in pixels, None for the model's own; raises BadRequest for a size that is not supported."""
    if body.size in (None, "auto"):
        return None, None
    _, *usual = bundle.image_shape()
    sides = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", body.size or "")
    if sides is None:
        raise BadRequest(f"size: expected auto or WIDTHxHEIGHT, such as {usual[1]}x{usual[0]}", param="size")
    width, height = (int(side) for side in sides.groups())
    if width * height > LARGEST * usual[0] * usual[1]:
        message = f"size: {body.size} has more than {LARGEST} times the pixels of {usual[1]}x{usual[0]}"
        raise BadRequest(f"{message}, the usual size of {bundle.name}", param="size")
    try:
        bundle.image_shape(height, width)
    except ConfigError as error:
        raise BadRequest(f"size: {error}", param="size") from None
    return height, width


def _check_limits(body: ImageBody, settings: Settings) -> None:
    check_steps(body.num_inference_steps or 1, settings)
    if (body.n or 1) > settings.max_images:
        raise BadRequest(f"n: this server makes at most {settings.max_images} images a request", param="n")


def check_steps(steps: int, settings: Settings) -> None:
    """Raise BadRequest for more steps than the server makes."""
    if steps > settings.max_steps:
        message = f"num_inference_steps: this server makes at most {settings.max_steps}, not {steps}"
        raise BadRequest(message, param="num_inference_steps")


def _text_options(body: ImageBody) -> Options:
    """The options for a text model."""
    if body.labels:
        raise BadRequest("labels: this is a text model; use prompt", param="labels")
    return {
        "prompt": body.prompt,
        "negative_prompt": body.negative_prompt,
        "long_prompt": bool(body.long_prompt),
        "prompt_weights": bool(body.prompt_weights),
        "clip_skip": body.clip_skip or 0,
    }


def _label_options(body: ImageBody, bundle: Bundle, seed: int, count: int, origin: Origin | None) -> Options:
    """The options for a class-conditional model: the classes that ``prompt`` or ``labels`` name; {} without classes."""
    for name in ("negative_prompt", "long_prompt", "prompt_weights", "clip_skip"):
        if getattr(body, name):
            raise BadRequest(f"{name}: {bundle.name} takes no text", param=name)
    classes = [part.strip() for part in body.prompt.split(",") if part.strip()]
    any_class = not classes or classes == [RANDOM]
    if not any_class and body.labels:
        raise BadRequest("labels: the prompt already names classes; give only one of the two", param="labels")
    if not bundle.labels:
        if body.labels or not any_class:
            raise BadRequest(f"prompt: {bundle.name} takes no text and has no classes; leave it empty", param="prompt")
        return {}
    if body.labels or not any_class:
        return {"labels": body.labels or classes}
    if origin is not None and bundle.null_class is not None:
        return {"labels": [NO_CLASS]}
    return {"labels": random.Random(seed).choices(range(len(bundle.labels)), k=count)}
