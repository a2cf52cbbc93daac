"""``ddim-edge serve``: serves models over HTTP."""

import warnings
from functools import partial
from pathlib import Path

import click

from ..errors import ConfigError
from ..extras import install_command
from ..runtime.providers.device import Device
from ..text import TruncationWarning
from .api_key_file import KEY_VARIABLE, api_key_in
from .device_options import device_options, max_memory_option
from .environment import RepeatableOption

DEFAULT_MODEL = "fashion-mnist"


@click.command("serve")
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen on; 0 takes a free one.")
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
    help="Size of the process, in MB, above which network calls get no more rows.  "
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
@click.option("--no-jobs", is_flag=True, help="With redis://: leave the jobs to ddim-edge worker.")
@click.option(
    "--max-models",
    type=int,
    default=2,
    help="Maximum number of open models. The least recently used one is closed for another.",
)
@click.option("--max-images", type=int, default=10, help="Maximum number of images in one request.")
@click.option("--max-steps", type=int, default=1000, help="Maximum number of steps in one request.")
@click.option("--max-body-mb", type=click.IntRange(1), default=10, help="Maximum size of a form with pictures, in MB.")
@click.option(
    "--max-json-kb", type=click.IntRange(1, 1024), default=128, help="Maximum size of any other request body, in KB."
)
@click.option(
    "--max-uploads-mb",
    type=click.IntRange(1),
    default=256,
    help="Maximum size of all forms in memory at once, in MB. Further ones get status 503.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1),
    default=512,
    help="Maximum number of open connections. For a further one, the oldest without a whole request is closed.",
)
@click.option("--header-timeout", type=float, default=10.0, help="Maximum time of a request's header in seconds.")
@click.option("--body-timeout", type=float, default=60.0, help="Maximum time of a request's body in seconds.")
@click.option("--timeout", type=float, default=120.0, help="Maximum time of a request in seconds, waiting included.")
@click.option(
    "--job-timeout", type=float, default=3600.0, help="Maximum time of a job of /v1/jobs in seconds, waiting included."
)
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
    device: Device,
    max_rows: int,
    max_memory: str | None,
    max_memory_mb: int | None,
    max_queue: int,
    max_per_client: int,
    keep_mb: int,
    store: str,
    no_jobs: bool,
    max_models: int,
    max_images: int,
    max_steps: int,
    max_body_mb: int,
    max_json_kb: int,
    max_uploads_mb: int,
    max_connections: int,
    header_timeout: float,
    body_timeout: float,
    timeout: float,
    job_timeout: float,
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

    MODEL is a bundled model (default: fashion-mnist), a bundle's folder, or NAME=FOLDER.

    Requests share network calls, whatever their steps and samplers. The API is OpenAI's image API; a web page is at /.

    \b
    Examples:
      ddim-edge serve
      ddim-edge serve fashion-mnist faces=my-bundle/ --port 9000
      ddim-edge serve --host 0.0.0.0 --api-key-file key.txt
    """
    try:
        from ..serving import Settings, create_app
        from ..serving.api_keys import ApiKeys
        from ..serving.server import listen, serve
        from ..serving.settings import LOOPBACK, hosts_for
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
        make_jobs=not no_jobs,
        max_models=max_models,
        preload=not lazy,
        warm_up=partial(click.echo, err=True) if warmup else None,
        max_images=max_images,
        max_steps=max_steps,
        max_body_bytes=max_body_mb * 2**20,
        max_json_bytes=max_json_kb * 2**10,
        max_uploads_bytes=max_uploads_mb * 2**20,
        max_connections=max_connections,
        header_timeout_s=header_timeout,
        body_timeout_s=body_timeout,
        timeout_s=timeout,
        job_timeout_s=job_timeout,
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
    app = create_app(models or (DEFAULT_MODEL,), settings)
    try:
        listener = listen(host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}. Give another --host or --port") from None
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"ddim-edge listens on http://{shown}:{listener.getsockname()[1]}", err=True)
    return serve(app, listener)
