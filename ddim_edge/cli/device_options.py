"""The options that choose what a command runs on; they become its argument ``device``."""

import functools
from collections.abc import Callable
from typing import Any

import click

from ..runtime.providers.device import Device
from ..runtime.providers.options import parse_options
from ..runtime.providers.precision import FLOAT32, PRECISIONS
from ..runtime.providers.table import NAMES
from .environment import RepeatableOption

precision_option = click.option(
    "--precision",
    default=FLOAT32,
    show_default=True,
    metavar="|".join(PRECISIONS),
    help="What the provider may compute in. With float32 a seed gives the same image everywhere; with bfloat16 "
    "nearly the same, at some 50 dB PSNR (docs/providers.md); auto lets the provider choose.",
)

no_build_option = click.option(
    "--no-build",
    is_flag=True,
    help="Do not build a bundle of more than 500 MB for the CPU when it is first opened there.",
)


max_memory_option = click.option(
    "--max-memory",
    metavar="SIZE",
    help="Most private memory of this process, such as 2GB or 800MB, on provider cpu. Networks take turns, their calls "
    "get fewer rows, and images are decoded in tiles where that is needed.",
)


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --provider, --precision, --provider-option, --allow-fallback and --no-build."""

    @click.option(
        "--provider",
        "-p",
        default="auto",
        metavar="NAME[:DEVICE]",
        help=f"What to run on: {', '.join(NAMES)}; cuda:1 is the second GPU.",
    )
    @precision_option
    @click.option(
        "--provider-option",
        "provider_options",
        cls=RepeatableOption,
        metavar="KEY=VALUE",
        envvar=f"DDIM_EDGE_{command.__name__.removesuffix('_command').upper()}_PROVIDER_OPTION",
        help="One of the provider's own options; repeatable.",
    )
    @click.option("--allow-fallback", is_flag=True, help="Let the CPU do what the provider cannot.")
    @no_build_option
    @functools.wraps(command)
    def with_device(
        provider: str,
        precision: str,
        provider_options: tuple[str, ...],
        allow_fallback: bool,
        no_build: bool,
        **rest: Any,
    ) -> Any:
        options = parse_options(provider_options)
        device = Device.parse(provider, options, allow_fallback=allow_fallback, precision=precision, build=not no_build)
        return command(device=device, **rest)

    return with_device


def auto_option(precision: str) -> str:
    """The options of a command that take what was measured."""
    return "--provider auto" + ("" if precision == FLOAT32 else f" --precision {precision}")
