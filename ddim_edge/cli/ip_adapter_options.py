"""The options of ``ddim-edge export`` for IP-Adapters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .environment import RepeatableOption


def ip_adapter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --ip-adapter and --ip-adapter-image-encoder to a command."""
    adapter = click.option(
        "--ip-adapter",
        "ip_adapters",
        cls=RepeatableOption,
        type=click.Path(path_type=Path),
        envvar="DDIM_EDGE_EXPORT_IP_ADAPTER",
        metavar="FILE",
        help="IP-Adapter in safetensors, as diffusers loads it: the bundle takes an image beside the prompt. Can be "
        "given several times.",
    )
    encoder = click.option(
        "--ip-adapter-image-encoder",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="The adapters' image encoder.  [default: the folder image_encoder in SOURCE, or beside the first FILE]",
    )
    return adapter(encoder(command))
