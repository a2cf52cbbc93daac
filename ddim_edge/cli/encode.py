"""``ddim-edge encode``: inverts pictures to latents (DDIM inversion)."""

import json
import math
from pathlib import Path

import click

from ..errors import ConfigError
from ..files import write_file
from ..generation.inversion import ENCODE_STEPS, encode
from ..generation.pipeline import load
from ..generation.requests.request import DEFAULT_BATCH_SIZE
from ..images.storage import check_can_write
from ..runtime.providers.device import Device
from .device_options import device_options, max_memory_option
from .image_options import split
from .progress import step_bar


@click.command("encode")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE…", type=click.Path(path_type=Path))
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="The .npz file to write.")
@click.option("--model", "-m", default="fashion-mnist", help="A bundled model's name or a bundle's folder.")
@click.option(
    "--labels", "-l", metavar="NAME,…", help="Classes of the pictures, used in turn.  [default: none, the null class]"
)
@click.option(
    "--num-steps",
    "--steps",
    "-s",
    type=int,
    default=ENCODE_STEPS,
    help="Number of network calls for each picture. More calls are more exact.",
)
@click.option(
    "--batch-size", "-b", type=int, default=DEFAULT_BATCH_SIZE, help="Number of pictures that are encoded together."
)
@device_options
@max_memory_option
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_ENCODE_JSON", help="Print one machine-readable line."
)
def encode_command(
    pictures: tuple[Path, ...],
    output: Path,
    model: str,
    labels: str | None,
    num_steps: int,
    batch_size: int,
    device: Device,
    max_memory: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find the latents that give the PICTUREs again.

    Deterministic DDIM generates the pictures from these latents.

    Pictures are turned upright, put on black where they are transparent, cropped to the model's aspect ratio around the
    centre, and scaled to its size.

    \b
    Examples:
      ddim-edge encode shoe.png --output shoe.npz
      ddim-edge run --latents shoe.npz
    """
    if output.suffix != ".npz":
        raise ConfigError(f"cannot write {output}: the file must end in .npz")
    check_can_write(output)
    pipeline = load(model, device, max_memory=max_memory)
    calls = math.ceil(len(pictures) / max(batch_size, 1)) * num_steps
    with step_bar(calls, visible=not quiet) as advance:
        latents = encode(
            pipeline, pictures, labels=split(labels), num_steps=num_steps, batch_size=batch_size, on_call=advance
        )
    write_file(output, latents.to_bytes())
    if as_json:
        click.echo(json.dumps({"file": str(output), "images": len(pictures), "recipe": dict(latents.recipe)}))
    elif not quiet:
        click.echo(f"{output}  ({len(pictures)} pictures, {num_steps} steps on {pipeline.provider})")
