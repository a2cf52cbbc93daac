"""DDIM inversion: encodes pictures to latents that reproduce them, and interpolates between latents."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..arrays import Sample
from ..bundle.bundle import Bundle
from ..diffusion.noise import noise_stream
from ..diffusion.samplers import DdimConfig, schedule_of
from ..diffusion.samplers.ddim_inverse import InverseSchedule, ddim_inverse, invertible
from ..diffusion.slerp import slerp
from ..errors import ConfigError
from ..images.decode import read_picture
from .conditioning import class_conditioning
from .engine import Engine, Job
from .pipeline import Pipeline
from .requests.latents_file import Latents, read_latents
from .requests.option_table import Options
from .requests.options import request_of
from .requests.origin import Origin
from .requests.request import DEFAULT_BATCH_SIZE, Request, sampler_from_json

ENCODE_STEPS = 50

Endpoint = int | str | os.PathLike[str]
"""A seed, the path of a picture, or the path of a latents file (.npz)."""


def encode(
    pipeline: Pipeline,
    pictures: Sequence[str | os.PathLike[str]] | Sample,
    *,
    labels: Sequence[str | int] | None = None,
    num_steps: int = ENCODE_STEPS,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_call: Callable[[], None] = lambda: None,
) -> Latents:
    """Find the x_T from which deterministic DDIM reproduces ``pictures`` (DDIM, section 5.4).

    ``pictures``: files, fitted to the model as ``images/decode.py`` says, or samples in [-1, 1], float32 (N, C, H, W).
    ``labels``: their classes, used in turn; by default the null class. More steps reproduce them more exactly.
    ``on_call`` is called after each network call. Raises ConfigError for pictures or a model that cannot be encoded.
    """
    samples = _samples(pipeline, pictures)
    config = invertible(_ddim(pipeline))
    request = pipeline.request(
        num_images=len(samples),
        labels=_labels(pipeline, labels),
        num_steps=num_steps,
        batch_size=batch_size,
        sampler=config,
        origin=Origin(image=samples),
        strength=1.0,
    )
    schedule = InverseSchedule(config, num_steps)
    batches = [_encode_batch(pipeline, request, schedule, samples, chunk, on_call) for chunk in request.chunks()]
    recipe = {name: value for name, value in pipeline.recipe(request).items() if name != "origin"}
    return Latents(np.concatenate(batches), recipe, schedule.end)


def from_latents(pipeline: Pipeline, latents: Latents, **options: Any) -> Request:
    """The request that makes images of ``latents``: with the settings of their encoding, unless ``options`` differ.

    Raises ConfigError for latents of another model, and for steps that start at another noise level.
    """
    request = request_from_latents(pipeline.bundle, latents, **options)
    pipeline.check(request)
    return request


def request_from_latents(bundle: Bundle, latents: Latents, **options: Any) -> Request:
    """As ``from_latents``, for a model whose networks are not open."""
    if latents.recipe.get("model_sha256") != bundle.sha256:
        raise ConfigError(
            f"the latents were made with another model than {bundle.name}: encode the pictures again with this one"
        )
    try:
        own = {
            "labels": latents.recipe["label_names"] or None,
            "num_steps": latents.recipe["num_steps"],
            "sampler": sampler_from_json(**latents.recipe["sampler"]),
            "num_images": len(latents.samples),
        }
    except (KeyError, TypeError) as error:
        raise ConfigError(f"the latents' recipe is incomplete or of another version: {error}") from None
    request = request_of(bundle, cast(Options, {**own, **options, "origin": Origin(latents=latents.samples)}))
    _check_level(request, latents.alpha_bar)
    return request


def interpolate(
    pipeline: Pipeline,
    first: Endpoint,
    last: Endpoint,
    num_frames: int,
    *,
    labels: Sequence[str | int] | None = None,
    num_steps: int = ENCODE_STEPS,
    guidance_scale: float = 1.0,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Request:
    """The request for ``num_frames`` images from ``first`` to ``last``: spherical interpolation of their latents.

    An endpoint is a seed, a picture (encoded first) or a file of latents (its first row). ``labels`` as in ``encode``.
    """
    if num_frames < 2:
        raise ConfigError(f"an interpolation needs at least 2 frames, not {num_frames}")
    classes = _labels(pipeline, labels)
    start, end = (_endpoint(pipeline, endpoint, classes, num_steps) for endpoint in (first, last))
    return pipeline.request(
        num_images=num_frames,
        labels=classes,
        num_steps=num_steps,
        guidance_scale=guidance_scale,
        batch_size=batch_size,
        sampler=invertible(_ddim(pipeline)),
        origin=Origin(latents=slerp(start, end, num_frames)),
    )


def _encode_batch(
    pipeline: Pipeline,
    request: Request,
    schedule: InverseSchedule,
    samples: Sample,
    chunk: Iterable[int],
    on_call: Callable[[], None],
) -> Sample:
    jobs = [
        Job(ddim_inverse(schedule, samples[index : index + 1]), class_conditioning(request.label(index)))
        for index in chunk
    ]
    engine = Engine(pipeline.denoiser, max_rows=len(jobs))
    for job in jobs:
        engine.add(job)
    while engine.jobs:
        pipeline.denoiser.most_rows = request.rows_per_call
        engine.step()
        on_call()
    return np.concatenate([job.result() for job in jobs])


def _endpoint(pipeline: Pipeline, end: Endpoint, labels: Sequence[str | int] | None, num_steps: int) -> Sample:
    shape = pipeline.bundle.sample_shape
    if isinstance(end, int):
        return noise_stream(end)((1, *shape))
    if Path(end).suffix != ".npz":
        return encode(pipeline, [end], labels=labels, num_steps=num_steps).samples
    latents = read_latents(end, shape)
    from_latents(pipeline, latents, num_steps=num_steps)  # refuses latents of another model or noise level
    return latents.samples[:1]


def _check_level(request: Request, alpha_bar: float) -> None:
    start = float(schedule_of(request.sampler, request.num_steps).levels[0])
    if not np.isclose(start, alpha_bar, rtol=1e-6, atol=0):
        raise ConfigError(
            f"the latents have the noise level ᾱ = {alpha_bar:.4g}, and {request.num_steps} steps of "
            f"{request.sampler.name} start at {start:.4g}: use the steps and the sampler that they were encoded with"
        )


def _ddim(pipeline: Pipeline) -> DdimConfig:
    config = pipeline.bundle.sampler("ddim")
    assert isinstance(config, DdimConfig)
    return config


def _labels(pipeline: Pipeline, labels: Sequence[str | int] | None) -> Sequence[str | int] | None:
    """The given labels, or else the null class; None for a model without classes."""
    bundle = pipeline.bundle
    if labels is not None or not bundle.labels:
        return labels
    if bundle.null_class is None:
        raise ConfigError(f"{bundle.name} has classes and no null class: give the class with labels")
    return [bundle.label_name(bundle.null_class)]


def _samples(pipeline: Pipeline, pictures: Sequence[str | os.PathLike[str]] | Sample) -> Sample:
    if pipeline.bundle.vae is not None or pipeline.bundle.inputs.text:
        raise ConfigError(
            f"{pipeline.bundle.name} is a latent or text-to-image model: pictures cannot be encoded with it yet"
        )
    if isinstance(pictures, np.ndarray):
        return pictures
    if not pictures:
        raise ConfigError("there is no picture to encode: give at least one")
    return np.concatenate([read_picture(path, pipeline.bundle.sample_shape) for path in pictures])
