"""The options of ``ddim-edge export`` that add to a model: textual inversions and IP-Adapters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .environment import RepeatableOption


def addition_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --textual-inversion, --ip-adapter and --ip-adapter-image-encoder to a command."""
    inversion = click.option(
        "--textual-inversion",
        "textual_inversions",
        cls=RepeatableOption,
        envvar="DDIM_EDGE_EXPORT_TEXTUAL_INVERSION",
        metavar="FILE[:TOKEN]",
        help="Embedding of a new word in safetensors. A prompt has the word by TOKEN, else by the name in FILE. Can be "
        "given several times.",
    )
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
    return inversion(adapter(encoder(command)))
