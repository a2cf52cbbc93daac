"""``ddim-edge worker``: makes the jobs of a shared store."""

import warnings
from functools import partial

import click

from ..errors import ConfigError
from ..extras import install_command
from ..runtime.providers.device import Device
from ..text import TruncationWarning
from .device_options import device_options, max_memory_option


@click.command("worker")
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@click.option("--store", required=True, metavar="STORE", help="The store of the servers: redis://HOST:PORT.")
@click.option("--store-images", metavar="URL", help="The folder for large images and results, as the servers have it.")
@device_options
@click.option("--max-rows", type=int, default=16, help="Maximum number of rows in one network call, and of jobs.")
@max_memory_option
@click.option(
    "--max-models",
    type=int,
    default=2,
    help="Maximum number of open models. The least recently used one is closed for another.",
)
@click.option("--max-images", type=int, default=10, help="Maximum number of images in one job.")
@click.option("--max-steps", type=int, default=1000, help="Maximum number of steps in one job.")
@click.option("--job-timeout", type=float, default=3600.0, help="Maximum time of a job in seconds, waiting included.")
@click.option("--drain", type=float, default=30.0, help="Time in seconds to finish running jobs after SIGTERM.")
@click.option("--lazy", is_flag=True, help="Open models at their first job, not at start.")
def worker_command(
    models: tuple[str, ...],
    store: str,
    store_images: str | None,
    device: Device,
    max_rows: int,
    max_memory: str | None,
    max_models: int,
    max_images: int,
    max_steps: int,
    job_timeout: float,
    drain: float,
    lazy: bool,
) -> int:
    """Make the jobs that servers with the same store accept.

    MODEL is a bundled model, a folder that `ddim-edge export` wrote, or NAME=FOLDER, and has the name that it has at
    the servers.

    \b
    Examples:
      ddim-edge worker fashion-mnist --store redis://localhost:6379
      ddim-edge serve fashion-mnist --store redis://localhost:6379 --no-jobs --lazy
    """
    try:
        from ..serving import Settings
        from ..serving.worker import work
    except ModuleNotFoundError as error:
        raise ConfigError(f"the worker needs {error.name}: {install_command('serve', 'redis')}") from None
    warnings.simplefilter("ignore", TruncationWarning)  # it quotes the words that were cut off
    settings = Settings(
        provider=device,
        store=store,
        store_images=store_images,
        max_rows=max_rows,
        max_memory=max_memory,
        max_models=max_models,
        max_images=max_images,
        max_steps=max_steps,
        job_timeout_s=job_timeout,
        drain_s=drain,
        preload=not lazy,
    )
    return work(models, settings, partial(click.echo, f"ddim-edge makes jobs of {', '.join(models)}", err=True))
