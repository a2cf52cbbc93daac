"""Warm-up: runs a model before its first real request.

At the first calls of a shape a device chooses its algorithms, allocates its memory and records its launches. A warm-up
does this with images that are thrown away.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..bundle.bundle import Bundle
from .pipeline import Pipeline
from .requests.named_arrays import zeros_for
from .requests.option_table import Options
from .requests.options import request_of
from .requests.origin import Origin
from .requests.picture import picture_shape
from .requests.request import Request
from .requests.step_cache import network_calls

_STEPS = 6
"""With fewer steps, not every set of buffers that a long run alternates between would have been used."""
_ROUNDS = 2
"""A launch is recorded when it is made for the second time."""


def warm_up(pipeline: Pipeline, request: Request, on_call: Callable[[], None] = lambda: None) -> None:
    """Make the images of ``request``, in batches of the same sizes but in few steps, and throw them away.

    ``on_call`` is called ``warm_up_calls(request)`` times.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the real run gives the same warnings
        short = _shortened(request)
        for _ in range(_ROUNDS):
            for _progress in pipeline.run(short, _chunks(short)):
                on_call()


def warm_up_calls(request: Request) -> int:
    """Number of network calls that ``warm_up`` makes."""
    short = _shortened(request)
    return _ROUNDS * len(_chunks(short)) * network_calls(short)


def default_requests(pipeline: Pipeline, max_rows: int) -> Iterator[Request]:
    """Requests for 1, 2, 4 … images with the model's default settings, up to ``max_rows`` rows."""
    images = 1
    while True:
        options: Options = {"num_images": images, "batch_size": images}
        if pipeline.bundle.inputs.text:
            options["prompt"] = ""
        if pipeline.bundle.free_inputs:
            options["conditioning"] = zeros_for(pipeline.bundle)
        if pipeline.bundle.scheduler is None:
            options["sampler"] = "ddim"
        options["origin"] = _black_pictures(pipeline.bundle)
        request = request_of(pipeline.bundle, options)
        if images > 1 and images * request.rows > max_rows:
            return
        yield request
        images *= 2


def _black_pictures(bundle: Bundle) -> Origin | None:
    """The pictures without which a model makes nothing; None for one that needs none."""
    inputs = bundle.inputs
    if not (inputs.takes_mask or inputs.picture or bundle.controls):
        return None
    channels, height, width = bundle.image_shape()
    picture = np.zeros((1, *picture_shape(bundle, None, None)), np.float32) if inputs.picture else None
    if picture is not None:
        picture[..., 0] = 1  # a depth map must not be the same everywhere
    return Origin(
        image=np.zeros((1, channels, height, width), np.float32) if inputs.takes_mask else None,
        mask=np.ones((1, 1, height, width), np.bool_) if inputs.takes_mask else None,
        controls=tuple(np.zeros((1, each.channels, height, width), np.float32) for each in bundle.controls),
        picture=picture,
    )


def _shortened(request: Request) -> Request:
    few = request.strength == 1 and request.num_steps > _STEPS
    return replace(request, num_steps=_STEPS, **_shortened_cache(request)) if few else request


def _shortened_cache(request: Request) -> dict[str, Any]:
    """A cache that six steps can have. A forecast makes no other calls than a run without it."""
    cache = request.step_cache
    return {"cache": "deep:2" if cache is not None and cache.kind == "deep" else None, "cache_threshold": None}


def _chunks(request: Request) -> list[range]:
    """One batch of each size: the first, and the last if it is smaller."""
    return list({len(chunk): chunk for chunk in request.chunks()}.values())
