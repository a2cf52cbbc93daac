"""``ddim-edge encode``: inverts pictures to latents (DDIM inversion)."""

import json
from pathlib import Path

import click

from ..errors import ConfigError
from ..generation.inversion import ENCODE_STEPS, encode, num_calls
from ..generation.pipeline import load
from ..images.storage import check_can_write
from ..runtime.providers.device import Device
from .device_options import device_options, max_memory_option
from .environment import RepeatableOption
from .image_options import split
from .model_first import chosen_model, is_model, model_option
from .progress import step_bar
from .replacing import check_free, write_output


@click.command("encode")
@click.argument("pictures", nargs=-1, required=True, metavar="[MODEL] PICTURE…")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="The .npz file to write.")
@click.option("--force", is_flag=True, help="Replace the .npz file if it exists.")
@model_option
@click.option(
    "--labels", "-l", metavar="NAME,…", help="Classes of the pictures, used in turn.  [default: none, the null class]"
)
@click.option(
    "--prompt",
    cls=RepeatableOption,
    metavar="TEXT",
    help="Text that the picture shows; several are used in turn.  [default: the empty prompt]",
)
@click.option("--height", type=int, help="Height in pixels that pictures are scaled to.  [default: the model's]")
@click.option("--width", type=int, help="Width in pixels that pictures are scaled to.  [default: the model's]")
@click.option(
    "--num-steps",
    "--steps",
    "-s",
    type=int,
    default=ENCODE_STEPS,
    help="Number of network calls for each picture. More calls are more exact.",
)
@click.option(
    "--batch-size",
    "-b",
    type=int,
    help="Number of pictures that are encoded together.  [default: 16; latent models 1]",
)
@device_options
@max_memory_option
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_ENCODE_JSON", help="Print one machine-readable line."
)
def encode_command(
    pictures: tuple[str, ...],
    output: Path,
    force: bool,
    model: str,
    labels: str | None,
    prompt: tuple[str, ...],
    height: int | None,
    width: int | None,
    num_steps: int,
    batch_size: int | None,
    device: Device,
    max_memory: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find the noise from which MODEL makes each PICTURE again.

    The noise is written as a file of latents. Deterministic DDIM makes the pictures of it, without guidance. MODEL is a
    bundled model's name (default: fashion-mnist), or a bundle: a folder that `ddim-edge export` wrote.

    Pictures are turned upright, put on black where they are transparent, cropped to the model's aspect ratio around the
    centre, and scaled to its size.

    \b
    Examples:
      ddim-edge encode shoe.png --output shoe.npz
      ddim-edge run --latents shoe.npz
      ddim-edge encode stable-diffusion/ fox.png --prompt "a red fox" --output fox.npz
      ddim-edge run stable-diffusion/ --latents fox.npz --prompt "a grey wolf"
    """
    first = pictures[:1] if is_model(pictures[0]) else ()
    files, model = pictures[len(first) :], chosen_model(first, model)
    if not files:
        raise ConfigError(f"there is no picture to encode after the model {model}: give at least one PICTURE")
    if output.suffix != ".npz":
        raise ConfigError(f"cannot write {output}: the file must end in .npz")
    check_can_write(output)
    check_free(output, force=force)
    pipeline = load(model, device, max_memory=max_memory)
    with step_bar(num_calls(pipeline.bundle, len(files), num_steps, batch_size), visible=not quiet) as advance:
        latents = encode(
            pipeline,
            files,
            labels=split(labels),
            prompt=prompt or None,
            height=height,
            width=width,
            num_steps=num_steps,
            batch_size=batch_size,
            on_call=advance,
        )
    write_output(output, latents.to_bytes(), force=force)
    if as_json:
        click.echo(json.dumps({"file": str(output), "images": len(files), "recipe": dict(latents.recipe)}))
    elif not quiet:
        count = f"{len(files)} picture{'s' if len(files) != 1 else ''}"
        click.echo(f"{output}  ({count}, {num_steps} steps on {pipeline.provider})")
