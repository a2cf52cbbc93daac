"""The options of ``ddim-edge serve`` that limit requests; they become its argument ``limits``."""

import functools
from collections.abc import Callable
from typing import Any

import click


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the limits of a request and of connections, as the fields of ``Settings``."""

    @click.option("--max-images", type=int, default=10, help="Maximum number of images in one request.")
    @click.option("--max-steps", type=int, default=1000, help="Maximum number of steps in one request.")
    @click.option(
        "--max-body-mb", type=click.IntRange(1), default=10, help="Maximum size of a form with pictures, in MB."
    )
    @click.option(
        "--max-json-kb",
        type=click.IntRange(1, 1024),
        default=128,
        help="Maximum size of any other request body, in KB.",
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
    @click.option(
        "--timeout", type=float, default=120.0, help="Maximum time of a request in seconds, waiting included."
    )
    @click.option(
        "--job-timeout",
        type=float,
        default=3600.0,
        help="Maximum time of a job of /v1/jobs in seconds, waiting included.",
    )
    @functools.wraps(command)
    def with_limits(
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
        **rest: Any,
    ) -> Any:
        limits = {
            "max_images": max_images,
            "max_steps": max_steps,
            "max_body_bytes": max_body_mb * 2**20,
            "max_json_bytes": max_json_kb * 2**10,
            "max_uploads_bytes": max_uploads_mb * 2**20,
            "max_connections": max_connections,
            "header_timeout_s": header_timeout,
            "body_timeout_s": body_timeout,
            "timeout_s": timeout,
            "job_timeout_s": job_timeout,
        }
        return command(limits=limits, **rest)

    return with_limits
