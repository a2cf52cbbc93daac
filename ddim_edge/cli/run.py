"""``ddim-edge run``: generates images with a model and writes them to files."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..bundle.read import open_bundle
from ..errors import ConfigError
from ..generation.inversion import shape_of_latents
from ..generation.machine import machine_of
from ..generation.memory.limit import MemoryLimit
from ..generation.pipeline import Pipeline
from ..generation.requests.control_images import control_samples
from ..generation.requests.ip_adapters import prepared_images
from ..generation.requests.latents_file import read_latents
from ..generation.requests.options import recipe_of
from ..generation.requests.picture import picture_samples, sides_of
from ..generation.requests.request import Request
from ..images.encode import check_channels
from ..images.formats import FORMATS
from ..images.save import is_folder
from ..networks.components import unet_graph
from ..ray.cluster import connected
from ..ray.folder import Folder
from ..ray.workers import Model
from ..runtime.providers.device import Device
from ..runtime.sessions.pool import computes_in
from .array_options import check_arrays, conditioning_option, default_format, holds_samples, named_arrays
from .destination import archive_of, archive_options, destination_of, local_or_url
from .device_options import device_options, max_memory_option
from .enlarging import enlarge_option
from .folder_output import FolderOptions
from .from_image import device_for, recipe_in, remade
from .help_sections import SectionedCommand
from .image_options import DEFAULT_NUM_IMAGES, image_options, make_request, read_origin, samplers_help
from .making import make_and_drop, make_images, within
from .on_ray import ray_option, run_on_ray
from .output import EstimateOptions, FileOutput, free_names
from .progress import phase
from .replacing import force_option
from .report import Outcome, json_report, report
from .run_policy import run_policy
from .run_requests import DEFAULT_MODEL, requests_option
from .seed import check_shared_seed
from .shards import ALL, Shard, check_shard, shard_options
from .show import show_images
from .standard_output import STANDARD_OUTPUT, check_standard_output


@click.command("run", cls=SectionedCommand, epilog=f"\b\nSamplers:\n{samplers_help()}")
@click.argument("model", required=False)
@image_options
@conditioning_option
@device_options
@click.option(
    "--warmup",
    is_flag=True,
    help="Call the networks once at every batch size before the run, outside the reported time.",
)
@max_memory_option
@click.option(
    "--low-memory",
    is_flag=True,
    help="Keep one network in memory at a time: networks are opened again for every batch. --max-memory does so where "
    "it is needed.",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    help="A .png, .jpg, .webp, .npy or .npz file for all images, or a folder (DIR/) for one file per image; a folder "
    "may be in a store: s3://bucket/folder/.  "
    "[default: a new file, or with --prompts a new folder, named after the model]",
)
@force_option
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    envvar="DDIM_EDGE_RUN_FORMAT",
    help="Format of the files in a folder, and of a file without --output: npy and npz hold float32 samples, before "
    "they are rounded to pixels.  [default: png; npz for models that make arrays]",
)
@click.option(
    "--png-level",
    type=click.IntRange(0, 9),
    help="Compression of PNG files: 0 is fast, 9 is small.  [default: zlib's own, 6]",
)
@shard_options
@archive_options
@click.option(
    "--from-image",
    type=click.Path(path_type=Path),
    help="Generate the images of this PNG, JPEG, WebP or .npz file again, with the options that it holds.",
)
@enlarge_option
@click.option("--gif", is_flag=True, help="Also write an animation of the denoising, beside the image file.")
@click.option(
    "--save-every",
    type=int,
    metavar="K",
    help="Also write the estimate of x_0 after every K network calls, as PNG files.",
)
@ray_option
@click.option("--show", is_flag=True, help="Show the images in the terminal.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, envvar="DDIM_EDGE_RUN_JSON", help="Print one machine-readable line.")
@requests_option
def run_command(
    model: str | None,
    device: Device,
    warmup: bool,
    max_memory: str | None,
    low_memory: bool,
    output: str | None,
    force: bool,
    file_format: str | None,
    png_level: int | None,
    shard: Shard | None,
    mixed_machines: bool,
    archive: str | None,
    images_per_tar: int,
    from_image: Path | None,
    init_image: Path | None,
    mask: Path | None,
    latents: Path | None,
    control_image: tuple[Path, ...],
    image: Path | None,
    ip_adapter_image: tuple[Path, ...],
    conditioning: Path | None,
    enlarge: int | None,
    gif: bool,
    save_every: int | None,
    ray: str | None,
    show: bool,
    quiet: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Generate images with MODEL, or arrays.

    MODEL is a bundled model (default: fashion-mnist), or a bundle: a folder that `ddim-edge export` wrote.
    `ddim-edge models` lists those on this machine.

    \b
    Examples:
      ddim-edge run
      ddim-edge run --labels sneaker,bag --num-images 8 --guidance-scale 2 --output shoes.png
      ddim-edge run my-bundle --num-images 50000 --output images/
      ddim-edge run stable-diffusion --prompt "a red fox in the snow" --negative-prompt blurry --width 768
      ddim-edge run stable-diffusion --prompts prompts.txt --output images/
      ddim-edge run --init-image coat.png --strength 0.6 --labels coat
      ddim-edge run instruct-pix2pix --image house.png --prompt "make it winter" --image-guidance-scale 1.5
      ddim-edge run controlled --prompt "a house" --control-image edges.png --control-scale 0.8
      ddim-edge run adapted --prompt "a house" --ip-adapter-image style.png --ip-adapter-scale 0.6
      ddim-edge run --requests orders.csv --output images/
      ddim-edge run policy/ --conditioning observations.npz --output actions.npz
      ddim-edge run --from-image shoes.png --output again.png
    """
    output = local_or_url(output)
    check_shard(shard, output)
    check_shared_seed(choices["seed"], shard)
    files = {"gif": gif, "save_every": save_every, "show": show, "archive": archive, "ray": ray, "shard": shard}
    check_standard_output(output, {**files, "json": as_json})
    recipe = recipe_in(from_image, choices) if from_image else {}
    device = device_for(recipe, device) if recipe else device
    bundle = open_bundle(model or recipe.get("model", DEFAULT_MODEL))
    if bundle.is_policy:
        run_policy(bundle, device, click.get_current_context().params)
        return
    what, file_format = bundle.output.kind, file_format or default_format(bundle)
    names = free_names(bundle.name, "" if choices["prompts"] else file_format)
    target = f"-.{file_format}" if output == STANDARD_OUTPUT else output or str(next(names))
    suffix = f".{file_format}" if is_folder(target) else Path(target).suffix
    pictures = {"image": image, "init_image": init_image, "mask": mask, "control_image": control_image}
    given = {**pictures, "enlarge": enlarge}
    check_arrays(bundle, suffix, {**given, "show": show, "gif": gif, "save_every": save_every})
    sizes = sides_of(bundle, image, (recipe or choices).get("height"), (recipe or choices).get("width"))
    choices |= dict(zip(("height", "width"), sizes, strict=True))
    shape = bundle.image_shape(*sizes) if bundle.output.is_image else None
    fitting = partial(shape_of_latents, bundle, height=sizes[0], width=sizes[1])
    encoded = read_latents(latents, fitting) if latents else None
    controls = () if shape is None else control_samples(bundle, control_image, shape)
    prompts = prepared_images(bundle, ip_adapter_image)
    picture = picture_samples(bundle, image, *sizes) if image else None
    origin = read_origin(init_image, mask, encoded, shape, controls, prompts, picture)
    named = named_arrays(bundle, conditioning)
    usual = named.num_rows if named else 1 if image or init_image or output == STANDARD_OUTPUT else DEFAULT_NUM_IMAGES
    if recipe:
        request = remade(bundle, recipe, origin, named)
    else:
        request = make_request(bundle, choices, origin, encoded, usual, named)
    if max_memory is not None:
        limit = MemoryLimit(bundle, device, max_memory)
        request = within(limit, request, turns=low_memory or None, again=bool(recipe), tiling=choices["vae_tiling"])
    if show and is_folder(target):
        raise ConfigError("--show draws one image: give a file, not a folder, as --output")
    if shape is not None and (gif or show or save_every or not holds_samples(suffix)):
        check_channels(shape[0])
    estimates = EstimateOptions(animate=gif, every=save_every)
    # A recipe has the model's hash, which is computed while networks are opened.
    used = partial(recipe_of, bundle, request, precision=computes_in(unet_graph(bundle), device))
    if ray is not None:
        with connected(ray):
            folder = Folder.at(target, used(), f".{file_format}", png_level, mixed_machines)
            there = Model.of(bundle, device, low_memory, max_memory)
            outcome = run_on_ray(there, request, folder, visible=not quiet, force=force)
        _tell(outcome._replace(what=what), request, used, quiet, as_json)
        return
    tars = archive_of(archive, images_per_tar, request, target, estimates)
    options = FolderOptions(
        lambda: None if mixed_machines else machine_of(pipeline), shard or ALL, png_level, tars, force
    )
    free, index = None if output else names, recipe.get("index")
    destination = destination_of(output, target, used, index, file_format, estimates, options, free, enlarge)
    began = time.perf_counter()
    if destination.finished(request, shape) and not show:
        seconds = time.perf_counter() - began
        outcome = Outcome(str(destination.path), 0, device.provider, seconds, destination.num_there, what=what)
        _tell(outcome, request, used, quiet, as_json)
        return
    with phase("load", visible=not quiet):
        # Networks can have gigabytes: they are opened after all other checks.
        pipeline = Pipeline(bundle, device, low_memory=low_memory, max_memory=max_memory, request=request)
    pipeline.check(request)
    if warmup:
        make_and_drop(pipeline, request, visible=not quiet)
    seconds = make_images(pipeline, request, destination, visible=not quiet)
    if show and isinstance(destination, FileOutput) and not (quiet or as_json):
        show_images(destination.images)
    made, before = destination.num_made, destination.num_there
    whole = destination.whole_calls
    outcome = Outcome(str(destination.path), made, pipeline.provider, seconds, before, whole, what)
    _tell(outcome, request, used, quiet, as_json)


def _tell(
    outcome: Outcome, request: Request, recipe: Callable[[], Mapping[str, Any]], quiet: bool, as_json: bool
) -> None:
    if not quiet:
        text = json_report(outcome, request, recipe()) if as_json else report(outcome, request)
        click.echo(text, err=outcome.path == STANDARD_OUTPUT)
