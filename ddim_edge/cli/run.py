"""``ddim-edge run``: from a model and a seed to pictures."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .. import providers
from ..config import SamplerConfig, sampler_config
from ..errors import ConfigError
from ..images import check_drawable, grid, read_recipe
from ..noise import NoiseKind
from ..pipeline import DEFAULT_NUM_STEPS, Pipeline, load
from ..request import DEFAULT_BATCH_SIZE, Request
from ..saving import is_folder
from .output import OneFilePerImage, OnePicture, free_name
from .progress import step_bar
from .show import half_blocks

DEFAULT_MODEL = "fashion-mnist"
DEFAULT_NUM_IMAGES = 16


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The options that say which images to make; they become a request once the model is known."""

    num_images: int | None
    labels: str | None
    num_steps: int
    eta: float | None
    seed: int
    guidance_scale: float
    batch_size: int
    noise: NoiseKind
    sampler_config: tuple[str, ...]
    scheduler: Path | None


@click.command("run")
@click.argument("model", required=False)
@click.option("--num-images", "-n", type=int, help=f"How many.  [default: one a label, or {DEFAULT_NUM_IMAGES}]")
@click.option("--labels", "-l", metavar="NAME,…", help="Class names or numbers, in turn.  [default: all]")
@click.option("--num-steps", "--steps", "-s", type=int, default=DEFAULT_NUM_STEPS, help="Network calls an image.")
@click.option("--eta", type=float, help="0: deterministic DDIM. 1: fresh noise at every step, as in DDPM.")
@click.option("--seed", type=int, default=0, help="Image k is the image of seed SEED + k, whatever runs beside it.")
@click.option("--guidance-scale", "-g", type=float, default=1.0, help="Classifier-free guidance; 1 is none.")
@click.option("--sampler-config", "-c", multiple=True, metavar="KEY=VALUE", help="Set a sampler option; repeatable.")
@click.option("--scheduler", type=click.Path(path_type=Path), help="A scheduler_config.json in place of the model's.")
@click.option("--batch-size", "-b", type=int, default=DEFAULT_BATCH_SIZE, help="How many images step together.")
@click.option("--noise", type=click.Choice(["torch", "numpy"]), default="torch", help="Whose normals a seed draws.")
@click.option("--provider", "-p", default="auto", help=f"The device: {', '.join(providers.NAMES)}.")
@click.option("--output", "-o", metavar="PATH", help="A .png or .npy file, or a folder (DIR/) for a file an image.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["png", "npy"]),
    default="png",
    envvar="DDIM_EDGE_RUN_FORMAT",
    help="Files without a name.",
)
@click.option("--from-image", type=click.Path(path_type=Path), help="Make the images of this PNG again.")
@click.option("--gif", is_flag=True, help="Also write the denoising as an animation, beside the picture.")
@click.option("--show", is_flag=True, help="Draw the images in the terminal.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, envvar="DDIM_EDGE_RUN_JSON", help="Print one machine-readable line.")
def run_command(
    model: str | None,
    provider: str,
    output: str | None,
    file_format: str,
    from_image: Path | None,
    gif: bool,
    show: bool,
    quiet: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Make images with MODEL: a bundled model's name or a bundle's folder (without one: fashion-mnist).

    \b
    Examples:
      ddim-edge run
      ddim-edge run --labels sneaker,bag --num-images 8 --guidance-scale 2 --output shoes.png
      ddim-edge run my-bundle --num-images 50000 --output images/
      ddim-edge run --from-image shoes.png --output again.png
    """
    recipe = _read_recipe(from_image, choices) if from_image else {}
    pipeline = load(model or recipe.get("model", DEFAULT_MODEL), provider)
    request = _remake(pipeline, recipe) if recipe else _request(pipeline, Choices(**choices))
    target = output or str(free_name(pipeline.bundle.name, file_format))
    if show and is_folder(target):
        raise ConfigError("--show draws one picture: give a file, not a folder, as --output")
    suffix = f".{file_format}" if is_folder(target) else Path(target).suffix
    if gif or show or suffix == ".png":
        check_drawable(pipeline.bundle.sample_shape[0])
    destination = _destination(target, pipeline.recipe(request), recipe.get("index"), file_format, gif)
    seconds = _run(pipeline, request, destination, visible=not quiet)
    if show and isinstance(destination, OnePicture):
        click.echo(half_blocks(grid(destination.images)), color=True)
    if not quiet:
        click.echo(_report(pipeline, request, destination, seconds, as_json))


def _destination(
    target: str, recipe: Mapping[str, Any], index: int | None, file_format: str, gif: bool
) -> OnePicture | OneFilePerImage:
    if not is_folder(target):
        return OnePicture(Path(target), recipe, index, animate=gif)
    if gif:
        raise ConfigError("--gif animates one picture: give a file, not a folder, as --output")
    return OneFilePerImage(Path(target), recipe, f".{file_format}")


def _run(pipeline: Pipeline, request: Request, destination: OnePicture | OneFilePerImage, *, visible: bool) -> float:
    """Make what the destination still lacks; returns the seconds that it took, without opening the model."""
    chunks = destination.chunks(request)
    began = time.perf_counter()
    try:
        with step_bar(len(chunks) * request.num_steps, visible=visible) as advance:
            for progress in pipeline.run(request, chunks):
                destination.take(progress)
                advance()
    except KeyboardInterrupt:
        raise click.Abort(destination.after_interruption(request)) from None
    destination.write()
    return time.perf_counter() - began


def _request(pipeline: Pipeline, choices: Choices) -> Request:
    labels = [label for label in choices.labels.split(",") if label.strip()] if choices.labels is not None else None
    count = choices.num_images
    if count is None:
        count = len(labels) if labels else DEFAULT_NUM_IMAGES
    return pipeline.request(
        num_images=count,
        labels=labels,
        num_steps=choices.num_steps,
        eta=choices.eta,
        seed=choices.seed,
        guidance_scale=choices.guidance_scale,
        batch_size=choices.batch_size,
        noise=choices.noise,
        sampler=_sampler(pipeline.bundle.scheduler, choices),
    )


def _sampler(own: SamplerConfig, choices: Choices) -> SamplerConfig:
    config = sampler_config(choices.scheduler) if choices.scheduler else own
    return config.replace(**_key_values(choices.sampler_config))


def _key_values(pairs: Sequence[str]) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--sampler-config wants KEY=VALUE, for instance eta=0.5, not {pair!r}")
        try:
            values[key.strip()] = json.loads(text)
        except ValueError:
            values[key.strip()] = text.strip()
    return values


def _read_recipe(path: Path, choices: Mapping[str, Any]) -> Mapping[str, Any]:
    """The picture's recipe; ConfigError where the command line gives one of the options that the recipe holds."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in choices and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise ConfigError(f"--from-image takes everything from the picture: leave {parameter.opts[0]} out")
    return read_recipe(path)


def _remake(pipeline: Pipeline, recipe: Mapping[str, Any]) -> Request:
    if recipe.get("model_sha256") != pipeline.bundle.sha256:
        raise ConfigError(
            f"the picture was made by another model: its hash is {str(recipe.get('model_sha256'))[:12]}…, that of "
            f"{pipeline.bundle.name} is {pipeline.bundle.sha256[:12]}…"
        )
    request = Request.from_json(recipe)
    pipeline.check(request)
    return request


def _report(
    pipeline: Pipeline, request: Request, destination: OnePicture | OneFilePerImage, seconds: float, as_json: bool
) -> str:
    made = destination.made
    facts = {
        "file": str(destination.path),
        "images": made,
        "steps": request.num_steps,
        "provider": pipeline.provider,
        "seconds": round(seconds, 3),
        "images_per_second": round(made / seconds, 3),
    }
    if as_json:
        return json.dumps({**facts, "recipe": pipeline.recipe(request)})
    return (
        f"{facts['file']}  ({made} images, {request.num_steps} steps on {pipeline.provider} "
        f"in {seconds:.2f} s, {made / seconds:.2f} images/s)"
    )
