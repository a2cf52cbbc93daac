"""``ddim-edge interpolate``: images between two images, by interpolation of their latents and prompts."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from ..errors import ConfigError, shown
from ..files import write_file
from ..generation.interpolation import Endpoint, interpolate
from ..generation.inversion import ENCODE_STEPS
from ..generation.pipeline import load
from ..generation.results import Result
from ..images.encode import check_channels, enlarged, gif_bytes
from ..images.save import check_suffix, file_bytes, is_folder
from ..images.storage import check_can_write
from ..runtime.providers.device import Device
from .device_options import device_options, max_memory_option
from .enlarging import enlarge_option, factor_of
from .environment import RepeatableOption
from .image_options import split
from .model_first import chosen_model, model_option
from .output import free_names, write_image_file
from .progress import step_bar
from .standard_output import STANDARD_OUTPUT

FRAME_MS = 120


@click.command("interpolate")
@click.argument("ends", nargs=-1, required=True, metavar="[MODEL] FIRST LAST")
@click.option("--frames", "--num-images", "-n", type=int, default=8, help="Number of images, FIRST and LAST included.")
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    help="A .png, .jpg or .webp file (a grid), a .gif or .npy file, or a folder (DIR/).  "
    "[default: a .png named after the model]",
)
@model_option
@click.option(
    "--labels", "-l", metavar="NAME,…", help="Classes of the images, used in turn.  [default: none, the null class]"
)
@click.option(
    "--prompt",
    cls=RepeatableOption,
    metavar="TEXT",
    help="Text that all images show; given twice, that of the first image and that of the last.  "
    "[default: none; text-to-image models need one]",
)
@click.option("--height", type=int, help="Image height in pixels.  [default: the model's]")
@click.option("--width", type=int, help="Image width in pixels.  [default: the model's]")
@click.option(
    "--num-steps", "--steps", "-s", type=int, default=ENCODE_STEPS, help="Number of denoising steps for each image."
)
@click.option(
    "--guidance-scale",
    "-g",
    type=float,
    help="Classifier-free guidance scale; 1 is off.  [default: 1; the model's for a prompt and two seeds]",
)
@enlarge_option
@device_options
@max_memory_option
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_INTERPOLATE_JSON", help="Print one machine-readable line."
)
def interpolate_command(
    ends: tuple[str, ...],
    frames: int,
    output: str | None,
    model: str,
    labels: str | None,
    prompt: tuple[str, ...],
    height: int | None,
    width: int | None,
    num_steps: int,
    guidance_scale: float | None,
    enlarge: int | None,
    device: Device,
    max_memory: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Generate images between FIRST and LAST.

    Each of the two is a seed (a whole number), a picture, or a file of latents (.npz). Pictures are encoded first. The
    latents between the two are their spherical interpolation. MODEL is a bundled model's name (default: fashion-mnist)
    or a bundle: a folder that `ddim-edge export` wrote.

    With two prompts the images go from the first to the second: what the network is told of them is interpolated
    linearly. Give the same seed twice, and the prompt alone changes.

    \b
    Examples:
      ddim-edge interpolate 3 11 --frames 8
      ddim-edge interpolate shoe.png boot.png --frames 24 --output way.gif
      ddim-edge interpolate stable-diffusion/ 3 11 --prompt "a red fox"
      ddim-edge interpolate stable-diffusion/ 3 3 --prompt "a red fox" --prompt "a grey wolf"
    """
    *named, first, last = _three_at_most(ends)
    start, end = _endpoint(first), _endpoint(last)
    pipeline = load(chosen_model(named, model), device, max_memory=max_memory)
    names = free_names(pipeline.bundle.name, "png")
    target = output or str(next(names))
    _check_target(target, pipeline.bundle.image_shape()[0])
    request = interpolate(
        pipeline,
        start,
        end,
        frames,
        labels=split(labels),
        prompt=prompt or None,
        height=height,
        width=width,
        num_steps=num_steps,
        guidance_scale=guidance_scale,
    )
    batches = []
    with step_bar(len(list(request.chunks())) * num_steps, visible=not quiet) as advance:
        for progress in pipeline.run(request):
            advance()
            batches += [progress.images] if progress.images is not None else []
    recipe = {**pipeline.recipe(request), "interpolated": _command(first, last, frames, prompt)}
    result = Result(np.concatenate(batches), recipe, pipeline.provider)
    path = _write(result, target, None if output else names, enlarge)
    if as_json:
        click.echo(json.dumps({"file": str(path), "images": frames, "recipe": recipe}))
    elif not quiet:
        click.echo(f"{path}  ({frames} images, {num_steps} steps on {pipeline.provider})")


def _three_at_most(ends: Sequence[str]) -> Sequence[str]:
    if len(ends) not in (2, 3):
        raise click.UsageError(f"[MODEL] FIRST LAST are two or three arguments, not {len(ends)}")
    return ends


def _command(first: str, last: str, frames: int, prompts: Sequence[str]) -> str:
    """The arguments that make the images again, as a recipe has them."""
    return " ".join([first, last, f"--frames {frames}", *(f"--prompt {shlex.quote(text)}" for text in prompts)])


def _endpoint(text: str) -> Endpoint:
    if re.fullmatch(r"[0-9]+", text) and not Path(text).exists():
        return int(text)
    if not Path(text).is_file():
        raise ConfigError(f"{shown(text)} is neither a seed (a whole number) nor a file: give one of them")
    return text


def _check_target(target: str, channels: int) -> None:
    if target == STANDARD_OUTPUT:
        raise ConfigError("--output - is for `ddim-edge run`: give a file or a folder")
    if Path(target).suffix != ".npy":
        check_channels(channels)
    if is_folder(target):
        return
    if Path(target).suffix != ".gif":
        check_suffix(Path(target), (".gif",))
    check_can_write(Path(target))


def _write(result: Result, target: str, other_names: Iterator[Path] | None, enlarge: int | None) -> Path | str:
    if is_folder(target):
        if enlarge is not None:
            raise ConfigError("--enlarge is for one picture file: give a file, not a folder, as --output")
        return result.save(target)
    path, factor = Path(target), factor_of(enlarge, result.images)
    if path.suffix == ".gif":
        return write_file(path, gif_bytes(list(enlarged(result.images, factor)), FRAME_MS, FRAME_MS))
    return write_image_file(path, file_bytes(path, result.images, result.recipe, enlarge=factor), other_names)
