"""DDIM inversion: encodes pictures to latents that reproduce them."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from ..arrays import Sample, Shape
from ..bundle.bundle import Bundle
from ..diffusion.samplers import DdimConfig, schedule_of
from ..diffusion.samplers.ddim_inverse import InverseSchedule, ddim_inverse, invertible
from ..errors import ConfigError, listed, shown
from ..images.decode import read_picture
from .conditioning import prompt_or_class_conditioning
from .engine import Engine, Job
from .pipeline import Pipeline
from .requests.latents_file import Latents
from .requests.option_table import Options
from .requests.options import default_batch_size, request_of
from .requests.origin import Origin
from .requests.recipe import sampler_from_json
from .requests.request import Request

ENCODE_STEPS = 50


def encode(
    pipeline: Pipeline,
    pictures: Sequence[str | os.PathLike[str]] | Sample,
    *,
    labels: Sequence[str | int] | None = None,
    prompt: str | Sequence[str] | None = None,
    height: int | None = None,
    width: int | None = None,
    num_steps: int = ENCODE_STEPS,
    batch_size: int | None = None,
    on_call: Callable[[], None] = lambda: None,
) -> Latents:
    """Find the x_T from which deterministic DDIM reproduces ``pictures`` (DDIM, section 5.4), without guidance.

    A latent model's autoencoder encodes the pictures first, to the mean where it is variational.

    ``pictures``: files, fitted to the model as ``images/decode.py`` says, or images in [-1, 1], float32 (N, C, H, W).
    ``labels``: their classes, used in turn; by default the null class. ``prompt``: their texts, used in turn; by
    default the empty prompt. ``height`` and ``width``: in pixels; by default the model's. More steps reproduce the
    pictures more exactly. ``batch_size``: 16 by default, and 1 for latent models. ``on_call`` is called after each
    network call.

    Raises ConfigError for pictures or a model that cannot be encoded, BundleError without the autoencoder's encoder.
    """
    check_invertible(pipeline.bundle)
    defaults = pipeline.bundle.defaults
    sizes = height or defaults.height, width or defaults.width
    samples = _samples(pictures, pipeline.bundle.image_shape(*sizes))
    config = invertible(own_ddim(pipeline))
    request = pipeline.request(
        num_images=len(samples),
        labels=usual_labels(pipeline, labels),
        prompt=[""] if prompt is None and pipeline.bundle.inputs.text else prompt,
        height=sizes[0],
        width=sizes[1],
        num_steps=num_steps,
        guidance_scale=1.0,
        batch_size=batch_size,
        sampler=config,
        origin=Origin(image=samples),
        strength=1.0,
    )
    schedule = InverseSchedule(config, num_steps)
    batches = [_encode_batch(pipeline, request, schedule, samples, chunk, on_call) for chunk in request.chunks()]
    recipe = {name: value for name, value in pipeline.recipe(request).items() if name != "origin"}
    return Latents(np.concatenate(batches), recipe, schedule.end)


def num_calls(bundle: Bundle, num_pictures: int, num_steps: int, batch_size: int | None) -> int:
    """The number of network calls in which ``encode`` encodes so many pictures."""
    return -(-num_pictures // max(batch_size or default_batch_size(bundle), 1)) * num_steps


def from_latents(pipeline: Pipeline, latents: Latents, **options: Any) -> Request:
    """The request that makes images of ``latents``: with the settings of their encoding, unless ``options`` differ.

    Raises ConfigError for latents of another model, and for steps that start at another noise level.
    """
    if not isinstance(latents, Latents):
        raise ConfigError(f"latents must be what read_latents or encode returns, not {shown(latents)}")
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
            "prompt": latents.recipe.get("prompts"),
            "height": latents.recipe.get("height"),
            "width": latents.recipe.get("width"),
            "num_steps": latents.recipe["num_steps"],
            "guidance_scale": latents.recipe["guidance_scale"],
            "sampler": sampler_from_json(**latents.recipe["sampler"]),
            "num_images": len(latents.samples),
        }
    except (KeyError, TypeError) as error:
        raise ConfigError(f"the latents' recipe is incomplete or of another version: {error}") from None
    request = request_of(bundle, cast(Options, {**own, **options, "origin": Origin(latents=latents.samples)}))
    _check_level(request, latents.alpha_bar)
    return request


def shape_of_latents(
    bundle: Bundle, recipe: Mapping[str, Any], height: int | None = None, width: int | None = None
) -> tuple[int, ...]:
    """(C, H, W) of latents with this recipe: of that size in pixels, else of that which they were encoded in."""
    return bundle.sample_shape_for(height or recipe.get("height"), width or recipe.get("width"))


def check_invertible(bundle: Bundle) -> None:
    """Raise ConfigError for a model that makes no images, or whose images need more than noise, a class or a prompt."""
    _ = bundle.image_shape()
    if bundle.free_inputs:
        raise ConfigError(
            f"{bundle.name} takes conditioning by name ({listed(bundle.free_inputs)}), which encode and interpolate do "
            "not support: take another model"
        )
    kind = "an inpainting model" if bundle.inputs.takes_mask else "a model with ControlNets" if bundle.controls else ""
    kind = "a model that takes a picture beside the sample" if bundle.inputs.picture else kind
    if kind:
        raise ConfigError(f"{bundle.name} is {kind}, which encode and interpolate do not support: take another model")


def own_ddim(pipeline: Pipeline) -> DdimConfig:
    """DDIM with the model's noise schedule."""
    config = pipeline.bundle.sampler("ddim")
    assert isinstance(config, DdimConfig)
    return config


def usual_labels(pipeline: Pipeline, labels: Sequence[str | int] | None) -> Sequence[str | int] | None:
    """The given labels, or else the null class; None for a model without classes."""
    bundle = pipeline.bundle
    if labels is not None or not bundle.labels:
        return labels
    if bundle.null_class is None:
        raise ConfigError(f"{bundle.name} has classes and no null class: give the class with labels")
    return [bundle.label_name(bundle.null_class)]


def _encode_batch(
    pipeline: Pipeline,
    request: Request,
    schedule: InverseSchedule,
    samples: Sample,
    chunk: Iterable[int],
    on_call: Callable[[], None],
) -> Sample:
    jobs = [_job(pipeline, request, schedule, samples[index : index + 1], index) for index in chunk]
    engine = Engine(pipeline.denoiser, max_rows=len(jobs))
    for job in jobs:
        engine.add(job)
    while engine.jobs:
        pipeline.denoiser.most_rows = request.rows_per_call
        engine.step()
        on_call()
    return np.concatenate([job.result() for job in jobs])


def _job(pipeline: Pipeline, request: Request, schedule: InverseSchedule, image: Sample, index: int) -> Job:
    text, vae = pipeline.components.text, pipeline.components.vae
    tiles, tile = request.vae_tiling, request.vae_tile
    start = image if vae is None else vae.encode(image, None, tiles=tiles, tile=tile)
    condition = prompt_or_class_conditioning(pipeline.bundle, request, index, text).conditioning
    return Job(ddim_inverse(schedule, start), condition)


def _check_level(request: Request, alpha_bar: float) -> None:
    start = schedule_of(request.sampler, request.num_steps).levels[0].signal ** 2
    if not np.isclose(start, alpha_bar, rtol=1e-6, atol=0):
        raise ConfigError(
            f"the latents have the noise level ᾱ = {alpha_bar:.4g}, and {request.num_steps} steps of "
            f"{request.sampler.name} start at {start:.4g}: use the steps and the sampler that they were encoded with, "
            "which are the defaults"
        )


def _samples(pictures: Sequence[str | os.PathLike[str]] | Sample, shape: Shape) -> Sample:
    if isinstance(pictures, np.ndarray):
        return pictures
    if isinstance(pictures, (str, os.PathLike)):
        raise ConfigError(f"pictures must be a list of files, such as [{shown(os.fspath(pictures))}]")
    if not pictures:
        raise ConfigError("there is no picture to encode: give at least one")
    return np.concatenate([read_picture(path, shape) for path in pictures])
