"""The options of ``ddim-edge run`` that name files, and others that only the command line has."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .environment import RepeatableOption

Decorator = Callable[[Any], Any]
_FILE = click.Path(path_type=Path)

COMMAND_LINE_ONLY: Mapping[str, Sequence[Decorator]] = {
    "negative_prompt": [
        click.option("--prompts", type=_FILE, help="File with one prompt per line, or - for standard input."),
    ],
    "strength": [
        click.option(
            "--init-image",
            type=_FILE,
            help="PNG, JPEG or WebP file to start from. It is cropped and scaled to the model's size.",
        ),
        click.option(
            "--mask", type=_FILE, help="Image file of the model's size. Only its white part is generated anew."
        ),
        click.option("--latents", type=_FILE, help="File written by `ddim-edge encode`, used instead of noise."),
    ],
    "image_guidance_scale": [
        click.option(
            "--image",
            type=_FILE,
            help="Image file that the model takes beside the sample, as InstructPix2Pix does. It is cropped and scaled "
            "to the model's size.",
        ),
    ],
    "control_scale": [
        click.option(
            "--control-image",
            cls=RepeatableOption,
            type=_FILE,
            help="Image file for a ControlNet; repeatable, in the order of the ControlNets.",
        ),
    ],
    "ip_adapter_scale": [
        click.option(
            "--ip-adapter-image",
            cls=RepeatableOption,
            type=_FILE,
            help="Image file that the images shall resemble, for an IP-Adapter; repeatable, in the order of the "
            "adapters.",
        ),
    ],
    "batch_size": [
        click.option(
            "--sampler-config",
            "-c",
            cls=RepeatableOption,
            metavar="KEY=VALUE",
            help="Option of the sampler, such as use_karras_sigmas=true; an unknown KEY is answered with the valid "
            "ones. Repeatable.",
        ),
        click.option("--scheduler", type=_FILE, help="scheduler_config.json to use instead of the model's."),
    ],
}
"""Options that only the command line has. Each list stands before the generation option of its name."""
