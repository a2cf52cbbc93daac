"""``ddim-edge interpolate``: images between two images, by interpolation of their latents and prompts."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..bundle.read import open_bundle
from ..errors import ConfigError, shown
from ..generation.interpolation import Endpoint, interpolate
from ..generation.inversion import ENCODE_STEPS
from ..generation.pipeline import Pipeline
from ..images.encode import check_channels, enlarged, gif_bytes, read_recipe
from ..images.formats import ARRAY_SUFFIXES
from ..images.save import check_suffix, is_folder
from ..images.storage import check_can_write
from ..runtime.providers.device import Device
from .destination import destination_of, local_or_url
from .device_options import device_options, max_memory_option
from .enlarging import enlarge_option
from .environment import RepeatableOption
from .folder_output import FolderOptions, FolderOutput
from .image_options import split
from .making import make_images
from .model_first import chosen_model, model_option
from .output import EstimateOptions, FileOutput, free_names
from .progress import phase
from .replacing import check_free, force_option
from .report import Outcome, finished_before
from .standard_output import STANDARD_OUTPUT

FRAME_MS = 120


@click.command("interpolate")
@click.argument("ends", nargs=-1, required=True, metavar="[MODEL] FIRST LAST")
@click.option("--frames", "--num-images", "-n", type=int, default=8, help="Number of images, FIRST and LAST included.")
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    help="A .png, .jpg or .webp file (a grid), a .gif, .npy or .npz file, or a folder (DIR/).  "
    "[default: a .png named after the model]",
)
@force_option
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
    force: bool,
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
    bundle = open_bundle(chosen_model(named, model))
    names, output = free_names(bundle.name, "png"), local_or_url(output)
    target, own = output or str(next(names)), {"interpolated": _command(first, last, frames, prompt)}
    _check_target(target, bundle.image_shape()[0], own, force=force)
    with phase("load", visible=not quiet):
        pipeline = Pipeline(bundle, device, max_memory=max_memory)
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
    recipe = {**pipeline.recipe(request), **own}
    destination = _destination(output, target, recipe, None if output else names, enlarge, force=force)
    done, seconds = destination.finished(request, bundle.image_shape(request.height, request.width)), 0.0
    if not done:
        seconds = make_images(pipeline, request, destination, visible=not quiet)
    path, made = str(destination.path), 0 if done else destination.num_made
    if as_json:
        click.echo(json.dumps({"file": path, "images": frames, "recipe": recipe}))
    elif not quiet:
        outcome = Outcome(path, made, pipeline.provider, seconds, destination.num_there)
        click.echo(finished_before(outcome) or f"{path}  ({frames} images, {num_steps} steps on {pipeline.provider})")


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


def _check_target(target: str, channels: int, own: Mapping[str, Any], *, force: bool) -> None:
    """Raise an error for an output that cannot be written, and for a file that no run of ``own`` arguments made."""
    if target == STANDARD_OUTPUT:
        raise ConfigError("--output - is for `ddim-edge run`: give a file or a folder")
    path = Path(target)
    if path.suffix not in ARRAY_SUFFIXES:
        check_channels(channels)
    if is_folder(target):
        return
    if path.suffix != ".gif":
        check_suffix(path, (".gif",))
    check_can_write(path)
    if not _may_be_of(path, own):
        check_free(path, force=force)


def _may_be_of(path: Path, own: Mapping[str, Any]) -> bool:
    """Whether a file has a recipe with these entries: the others are known once networks are open."""
    try:
        return own.items() <= read_recipe(path).items()
    except ConfigError:
        return False


def _destination(
    output: str | None,
    target: str,
    recipe: Mapping[str, Any],
    other_names: Iterator[Path] | None,
    enlarge: int | None,
    *,
    force: bool,
) -> FileOutput | FolderOutput:
    if Path(target).suffix == ".gif" and not is_folder(target):
        return Animation(Path(target), lambda: recipe, None, EstimateOptions(), None, None, enlarge, force)
    options = FolderOptions(lambda: None, force=force)
    return destination_of(output, target, lambda: recipe, None, "png", EstimateOptions(), options, other_names, enlarge)


class Animation(FileOutput):
    """Writes all images as the frames of a GIF file."""

    def _check(self) -> None:
        check_can_write(self.path)

    def contents(self) -> bytes:
        return gif_bytes(list(enlarged(self.images, self._factor(animated=False))), FRAME_MS, FRAME_MS)
