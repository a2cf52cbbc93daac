"""Interpolation: images between two noises, pictures, files of latents, or prompts."""

import dataclasses
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..arrays import Sample
from ..diffusion.noise import noise_stream
from ..diffusion.samplers.ddim_inverse import invertible
from ..diffusion.slerp import slerp
from ..errors import ConfigError
from .inversion import (
    ENCODE_STEPS,
    check_invertible,
    encode,
    from_latents,
    own_ddim,
    shape_of_latents,
    usual_labels,
)
from .pipeline import Pipeline
from .requests.guidance import default_guidance
from .requests.latents_file import read_latents
from .requests.origin import Origin
from .requests.request import Request

Endpoint = int | str | os.PathLike[str]
"""A seed, the path of a picture, or the path of a latents file (.npz)."""


def interpolate(
    pipeline: Pipeline,
    first: Endpoint,
    last: Endpoint,
    num_frames: int,
    *,
    labels: Sequence[str | int] | None = None,
    prompt: str | Sequence[str] | None = None,
    height: int | None = None,
    width: int | None = None,
    num_steps: int = ENCODE_STEPS,
    guidance_scale: float | None = None,
    batch_size: int | None = None,
) -> Request:
    """The request for ``num_frames`` images from ``first`` to ``last``: spherical interpolation of their latents.

    An endpoint is a seed, a picture (encoded first) or a file of latents (its first row).

    ``labels``, ``height``, ``width`` and ``batch_size`` as in ``encode``. ``prompt``: the text of all images, or two:
    that of the first image and that of the last, between which the conditioning is interpolated linearly. A picture is
    encoded with the prompt of its end. ``guidance_scale``: by default 1 (off); for a text-to-image model between two
    seeds the model's own. Pictures and latents come back without guidance only.

    Raises ConfigError for endpoints, prompts or a model that do not allow it.
    """
    if num_frames < 2:
        raise ConfigError(f"an interpolation needs at least 2 frames, not {num_frames}")
    check_invertible(pipeline.bundle)
    classes, prompts = usual_labels(pipeline, labels), _prompts(prompt)
    if guidance_scale is None:
        seeds = isinstance(first, int) and isinstance(last, int)
        guidance_scale = default_guidance(pipeline.bundle) if seeds and pipeline.bundle.inputs.text else 1.0
    request = pipeline.request(
        num_images=num_frames,
        labels=classes,
        prompt=prompts,
        height=height,
        width=width,
        num_steps=num_steps,
        guidance_scale=guidance_scale,
        batch_size=batch_size,
        sampler=invertible(own_ddim(pipeline)),
    )
    latents_of = partial(_endpoint, pipeline, request, classes)
    start, end = (latents_of(endpoint, text) for endpoint, text in zip((first, last), _ends(prompts), strict=True))
    origin = Origin(latents=slerp(start, end, num_frames))
    between = dataclasses.replace(request, origin=origin, between_prompts=prompts is not None and len(prompts) == 2)
    pipeline.check(between)
    return between


def _prompts(prompt: str | Sequence[str] | None) -> Sequence[str] | None:
    """The prompts, at most two."""
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if prompts is not None and len(prompts) not in (1, 2):
        raise ConfigError(f"an interpolation takes one prompt, or two to go between, not {len(prompts)}")
    return prompts


def _ends(prompts: Sequence[str] | None) -> tuple[str | None, str | None]:
    """The prompt of the first image and that of the last."""
    return (prompts[0], prompts[-1]) if prompts else (None, None)


def _endpoint(
    pipeline: Pipeline, request: Request, labels: Sequence[str | int] | None, end: Endpoint, prompt: str | None
) -> Sample:
    """The latents of an endpoint, float32 (1, C, H, W)."""
    bundle, sizes = pipeline.bundle, (request.height, request.width)
    if isinstance(end, int):
        return noise_stream(end)((1, *bundle.sample_shape_for(*sizes)))
    if Path(end).suffix != ".npz":
        encode_like = partial(encode, height=sizes[0], width=sizes[1], num_steps=request.num_steps)
        return encode_like(pipeline, [end], labels=labels, prompt=prompt).samples
    latents = read_latents(end, lambda recipe: shape_of_latents(bundle, recipe, *sizes))
    from_latents(pipeline, latents, num_steps=request.num_steps)  # refuses those of another model or noise level
    return latents.samples[:1]
