"""``ddim-edge run --ray``: the chunks that a folder does not have are made by the workers of a Ray cluster."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..bundle.bundle import Bundle
from ..bundle.read import bundled_names
from ..errors import ConfigError, DdimEdgeError
from ..generation.requests.request import Request
from ..images.save import is_folder
from ..networks.safety_checker import warn_checker_off, warn_unsafe
from ..ray.cluster import check_ray, connected
from ..ray.generate import map_chunks
from ..ray.workers import Model
from ..runtime.providers.device import Device
from .output import FolderOutput
from .progress import step_bar


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --ray and --ray-cpus."""
    address = click.option(
        "--ray",
        metavar="auto|ADDRESS",
        help="Let the workers of a Ray cluster make the images of a folder: auto is the cluster that runs on this "
        "machine, or a local one for this run; ADDRESS is HOST:PORT, or local.",
    )
    cpus = click.option(
        "--ray-cpus",
        type=click.IntRange(min=1),
        metavar="N",
        help="Processors, and so threads, of each of Ray's workers.  [default: as many as a run here uses]",
    )
    return address(cpus(command))


def check_ray_options(address: str, target: str, **refused: bool) -> None:
    """Raise ConfigError for options that workers do not have, and for a Ray that is not there."""
    for name, given in refused.items():
        if given:
            raise ConfigError(f"--ray does not go with --{name.replace('_', '-')}: leave one of them out")
    if not is_folder(target):
        raise ConfigError("--ray writes one file per image: give a folder (DIR/) as --output")
    check_ray(address)


def worker_model(bundle: Bundle, device: Device, *, low_memory: bool, max_memory: str | None) -> Model:
    """The model as a worker on another machine finds it."""
    name = bundle.name if bundle.name in bundled_names() else str(bundle.folder.resolve())
    return Model(name, device, low_memory, max_memory)


def run_on_ray(
    address: str, cpus: int | None, model: Model, request: Request, output: FolderOutput, *, visible: bool
) -> tuple[float, str]:
    """Make what the folder lacks. Returns the seconds, without the cluster's start, and the workers' provider."""
    chunks, folder = output.chunks(request), output.for_workers()
    provider = model.device.provider
    if not request.safety_checker:
        warn_checker_off(model.name)
    try:
        with connected(address), _own_errors():
            began = time.perf_counter()
            with step_bar(len(chunks), visible=visible, text="chunk") as advance:
                for row in map_chunks(chunks, request, model, folder, cpus).iter_rows() if chunks else ():
                    output.num_made += row["num_made"]
                    provider = row["provider"]
                    warn_unsafe(range(row["start"], row["stop"]), row["is_safe"], request.seed)
                    advance()
            seconds = time.perf_counter() - began
    except KeyboardInterrupt:
        raise click.Abort(output.interruption_message(request)) from None
    return seconds, provider


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise the error of this package that a worker raised, in place of those that Ray wraps around it."""
    try:
        yield
    except Exception as error:
        own = _own(error)
        if own is None or own is error:
            raise
        raise own from None


def _own(error: BaseException | None) -> DdimEdgeError | None:
    while error is not None:
        if isinstance(error, DdimEdgeError):
            return error
        error = getattr(error, "cause", None) or error.__cause__
    return None
