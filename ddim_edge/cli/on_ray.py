"""``ddim-edge run --ray``: the batches that a folder does not have are made by the workers of a Ray cluster."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from ..errors import ConfigError
from ..generation.requests.request import Request
from ..images.save import is_folder
from ..networks.safety_checker import warn_checker_off, warn_unsafe
from ..ray.cluster import check_ray
from ..ray.failures import own_errors
from ..ray.folder import Folder
from ..ray.generate import map_chunks
from ..ray.workers import Model
from .progress import step_bar
from .report import Outcome

_NOT_ON_RAY = ("requests", "warmup", "gif", "enlarge", "save_every", "show", "shard", "archive")


def ray_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command --ray, which is checked here."""

    @click.option(
        "--ray",
        metavar="auto|ADDRESS",
        help="Let the workers of a Ray cluster make the images of a folder: auto is the cluster that runs on this "
        "machine; ADDRESS is its HOST:PORT, or local for one that is started for this run.",
    )
    @functools.wraps(command)
    def with_ray(**options: Any) -> None:
        if options["ray"] is not None:
            _check_options(options)
        command(**options)

    return with_ray


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise ConfigError for options that workers do not have, and for a Ray that is not there."""
    for name in _NOT_ON_RAY:
        if options[name] not in (None, False):
            raise ConfigError(f"--ray does not go with --{name.replace('_', '-')}: leave one of them out")
    if options["output"] is None or not is_folder(options["output"]):
        raise ConfigError("--ray writes one file per image: give a folder as --output, such as --output images/")
    check_ray(options["ray"])


def run_on_ray(model: Model, request: Request, folder: Folder, *, visible: bool, force: bool) -> Outcome:
    """Make what the folder lacks, on the cluster that this process is connected to."""
    if not request.safety_checker:
        warn_checker_off(model.name)
    num_made, provider = 0, model.device.provider
    chunks = folder.missing(request, force=force)
    began = time.perf_counter()
    try:
        with own_errors(), step_bar(len(chunks), visible=visible, text="batch") as advance:
            for row in map_chunks(chunks, request, model, folder).iter_rows() if chunks else ():
                num_made, provider = num_made + row["num_made"], row["provider"]
                warn_unsafe(range(row["start"], row["stop"]), row["is_safe"], request.seed)
                advance()
    except KeyboardInterrupt:
        raise click.Abort(f"interrupted: run the same command to go on with {folder.target}") from None
    num_there = request.num_images - sum(map(len, chunks))
    return Outcome(folder.target, num_made, provider, time.perf_counter() - began, num_there)
