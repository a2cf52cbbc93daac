"""``ddim-edge serve``: serves models over HTTP."""

import socket
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError
from ..extras import install_command
from ..runtime.providers.device import Device
from ..text import TruncationWarning
from .api_key_file import KEY_VARIABLE, api_key_in
from .device_options import device_options, max_memory_option
from .environment import RepeatableOption
from .greeting import greeting
from .help_sections import SectionedCommand
from .serve_limits import limit_options

DEFAULT_MODEL = "fashion-mnist"


@click.command("serve", cls=SectionedCommand)
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    help="Number of processes that serve on the port, with a share of the cores each; more than one needs --store.",
)
@device_options
@click.option(
    "--max-rows",
    type=int,
    default=16,
    help="Maximum number of rows in one network call. A guided image takes two rows.",
)
@max_memory_option
@click.option(
    "--max-memory-mb",
    type=click.IntRange(1),
    help="Size of the process, in MB, above which network calls get no more rows; --max-memory is a strict limit.  "
    "[default: 80 % of the memory that is free at start]",
)
@click.option(
    "--max-queue", type=int, default=64, help="Maximum number of requests that wait for one model; then status 429."
)
@click.option(
    "--max-per-client",
    type=int,
    default=48,
    help="Maximum number of unfinished requests of one client, by API key or address; then status 429.",
)
@click.option(
    "--keep-mb", type=click.IntRange(1), default=256, help="Maximum size of the results of jobs that are kept, in MB."
)
@click.option(
    "--store",
    default="memory",
    metavar="STORE",
    help="Where jobs and images with a URL are kept: memory, sqlite:FILE for processes of one machine, "
    "redis://HOST:PORT for any.",
)
@click.option(
    "--store-images",
    metavar="URL",
    help="With redis://: a folder, as s3://bucket/folder/, for images and results of 64 KiB and more.",
)
@click.option(
    "--cache-results",
    metavar="SIZE",
    help="Size of a cache of finished images in memory, such as 256MB: a request that is repeated with its seed is "
    "answered at once.  [default: no cache]",
)
@click.option("--no-jobs", is_flag=True, help="With redis://: leave the jobs to ddim-edge worker.")
@click.option(
    "--max-models",
    type=int,
    default=2,
    help="Maximum number of open models. The least recently used one is closed for another.",
)
@limit_options
@click.option("--drain", type=float, default=30.0, help="Time in seconds to finish running requests after SIGTERM.")
@click.option(
    "--shutdown-delay",
    type=float,
    default=0.0,
    help="Time in seconds from SIGTERM to the drain. Requests are accepted, but /health/ready is 503.",
)
@click.option("--warmup", is_flag=True, help="Run every model once at all batch sizes when it is opened.")
@click.option("--lazy", is_flag=True, help="Open models at their first request, not at start.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    help=f"File with the API keys, one a line; each is valid.  [default: the variable {KEY_VARIABLE}]",
)
@click.option(
    "--api-keys",
    type=click.Path(path_type=Path),
    help="TOML file with API keys that have names and limits, read again on SIGHUP; in place of --api-key-file.",
)
@click.option("--no-auth", is_flag=True, help="Serve without an API key to everybody who reaches the address.")
@click.option(
    "--cors-origin",
    "cors_origins",
    cls=RepeatableOption,
    metavar="ORIGIN",
    envvar="DDIM_EDGE_SERVE_CORS_ORIGIN",
    help="Origin of web pages that may call the server, such as https://example.com; repeatable.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    cls=RepeatableOption,
    metavar="NAME",
    envvar="DDIM_EDGE_SERVE_ALLOWED_HOST",
    help="Name in the Host header that is accepted, beside localhost and addresses; * for any; repeatable.  "
    "[default: with a key and another --host than localhost: any]",
)
@click.option("--root-path", default="", metavar="PATH", help="Prefix that a proxy removes from paths, such as /draw.")
@click.option(
    "--forwarded-allow-ips",
    metavar="ADDRESSES",
    help="Addresses of proxies, between commas, whose X-Forwarded-* headers are believed; * for all.  "
    "[default: 127.0.0.1 and ::1]",
)
@click.option("--log-prompts", is_flag=True, help="Write the prompts to the access log.")
def serve_command(
    models: tuple[str, ...],
    host: str,
    port: int,
    workers: int,
    device: Device,
    max_rows: int,
    max_memory: str | None,
    max_memory_mb: int | None,
    max_queue: int,
    max_per_client: int,
    keep_mb: int,
    store: str,
    store_images: str | None,
    cache_results: str | None,
    no_jobs: bool,
    max_models: int,
    limits: dict[str, Any],
    drain: float,
    shutdown_delay: float,
    warmup: bool,
    lazy: bool,
    api_key_file: Path | None,
    api_keys: Path | None,
    no_auth: bool,
    cors_origins: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    root_path: str,
    forwarded_allow_ips: str | None,
    log_prompts: bool,
) -> int:
    """Serve MODELs over HTTP.

    MODEL is a bundled model (default: fashion-mnist), a folder that `ddim-edge export` wrote, or NAME=FOLDER.

    Requests share network calls, whatever their steps and samplers. The API is OpenAI's image API, for arrays and robot
    policies KServe's V2; a web page is at /.

    \b
    Examples:
      ddim-edge serve
      ddim-edge serve fashion-mnist faces=my-bundle/ --port 9000
      ddim-edge serve --host 0.0.0.0 --api-key-file key.txt
      ddim-edge serve --workers 2 --store sqlite:jobs.db
    """
    try:
        from ..serving import Settings, create_app
        from ..serving.api_keys import ApiKeys
        from ..serving.server import serve
        from ..serving.settings import LOOPBACK, hosts_for
        from .serve_workers import check_workers, serve_workers
    except ModuleNotFoundError as error:
        raise ConfigError(f"the server needs {error.name}: {install_command('serve')}") from None
    if not log_prompts:  # the warning quotes the words that were cut off
        warnings.simplefilter("ignore", TruncationWarning)
    given_key, given_keys = api_key_in(api_key_file), None if api_keys is None else ApiKeys(api_keys)
    if given_key is not None and given_keys is not None:
        raise ConfigError(f"give either --api-keys or --api-key-file ({KEY_VARIABLE})")
    key, keys = (None, None) if no_auth else (given_key, given_keys)
    if host not in LOOPBACK and key is None and keys is None and not no_auth:
        raise ConfigError(
            f"--host {host} is open to others: give --api-key-file, --api-keys or {KEY_VARIABLE}, or say --no-auth"
        )
    settings = Settings(
        provider=device,
        max_rows=max_rows,
        max_memory=max_memory,
        max_memory_bytes=None if max_memory_mb is None else max_memory_mb * 2**20,
        max_queue=max_queue,
        max_per_client=max_per_client,
        keep_bytes=keep_mb * 2**20,
        store=store,
        store_images=store_images,
        cache_results=cache_results,
        make_jobs=not no_jobs,
        max_models=max_models,
        preload=not lazy,
        warm_up=partial(click.echo, err=True) if warmup else None,
        **limits,
        drain_s=drain,
        shutdown_delay_s=shutdown_delay,
        api_key=key,
        api_keys=keys,
        cors_origins=cors_origins,
        hosts=hosts_for(host, key or keys, allowed_hosts),
        root_path=root_path,
        forwarded_allow_ips=forwarded_allow_ips,
        log_prompts=log_prompts,
    )
    served = models or (DEFAULT_MODEL,)
    if workers > 1:
        check_workers(workers, store)
        listener = _listen(host, port)
        return serve_workers(workers, served, settings, listener, partial(_say_address, host, listener))
    app = create_app(served, settings)
    listener = _listen(host, port)
    _say_address(host, listener)
    return serve(app, listener)


def _listen(host: str, port: int) -> socket.socket:
    from ..serving.server import listen

    try:
        return listen(host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}. Give another --host or --port") from None


def _say_address(host: str, listener: socket.socket) -> None:
    click.echo(greeting(host, listener.getsockname()[1], sys.stderr.isatty()), err=True)
