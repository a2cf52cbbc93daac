"""``ddim-edge tune``: measures what caches cost and save, and writes the fastest good one into a bundle as a preset."""

import json
from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console

from ..benchmark.tune import fastest, measure
from ..bundle.bundle import Bundle
from ..bundle.presets import check_preset_name, write_preset
from ..bundle.read import bundled_names, open_bundle
from ..errors import ConfigError
from ..generation.pipeline import Pipeline
from ..generation.requests.option_table import Options
from ..generation.requests.options import request_of
from ..images.encode import check_channels, png_bytes
from ..images.storage import check_can_write
from ..runtime.providers.device import Device
from .device_options import device_options
from .environment import RepeatableOption
from .image_options import split
from .replacing import check_free, force_option, write_output
from .tune_report import figures, row_of, strip_of, text_of

_USUAL_COUNT = 8
_KEPT = ("num_steps", "sampler", "guidance_scale")
"""Options that go into the preset where they are given: the distance was measured with them."""


@click.command("tune")
@click.argument("bundle")
@click.option("--prompt", cls=RepeatableOption, metavar="TEXT", help="Text that an image shows; repeatable.")
@click.option("--labels", "-l", metavar="NAME,…", help="Classes, used in turn.  [default: all]")
@click.option(
    "--num-images",
    "-n",
    type=click.IntRange(1),
    help=f"Number of images of each setting.  [default: one for each prompt or label, else {_USUAL_COUNT}]",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the first image.")
@click.option("--num-steps", "--steps", "-s", type=int, help="Number of denoising steps.  [default: the model's own]")
@click.option("--sampler", metavar="NAME", help="Sampler.  [default: the model's]")
@click.option("--guidance-scale", "-g", type=float, help="Guidance scale; 1 is off.  [default: the model's own]")
@click.option("--batch-size", "-b", type=int, help="Number of images that are denoised together.")
@click.option(
    "--max-distance",
    type=click.FloatRange(0),
    default=0.1,
    help="How far the final samples of any image may be from those without a cache: root mean square of the "
    "difference, as a share of the sample's.",
)
@click.option("--preset", default="fast", metavar="NAME", help="Name of the preset. One of the same name is replaced.")
@click.option(
    "--strip",
    type=click.Path(path_type=Path),
    help="PNG file for the pictures side by side: a row a setting, in the order of the table.",
)
@force_option
@device_options
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, envvar="DDIM_EDGE_TUNE_JSON", help="Print one machine-readable line.")
def tune_command(
    bundle: str,
    device: Device,
    labels: str | None,
    prompt: tuple[str, ...],
    max_distance: float,
    preset: str,
    strip: Path | None,
    force: bool,
    quiet: bool,
    as_json: bool,
    **choices: Any,
) -> int:
    """Find the fastest cache that keeps BUNDLE's images close.

    BUNDLE is a bundle's folder. The same images are made without a cache and with some settings of --cache. The fastest
    within --max-distance becomes a preset of the bundle, which `ddim-edge run BUNDLE --preset fast` uses. Exit code 1
    if none is faster within the distance: nothing is written then.

    \b
    Examples:
      ddim-edge tune my-bundle/ --prompt "a red fox" --prompt "a house" --strip strip.png
      ddim-edge tune my-bundle/ --sampler ddim --steps 50 --max-distance 0.05
    """
    opened = open_bundle(bundle)
    given = {name: value for name, value in choices.items() if value is not None}
    usual = {} if labels or prompt or opened.inputs.text else {"num_images": _USUAL_COUNT}
    options = {**usual, **given, "labels": split(labels), "prompt": prompt or None}
    _check(opened, options, preset, strip, force=force)
    pipeline = Pipeline(opened, device)
    with Console(stderr=True, quiet=quiet).status("") as status:
        rows = measure(pipeline, options, status.update)
    best = fastest(rows, max_distance)
    if strip is not None:
        write_output(strip, png_bytes(strip_of([row.images for row in rows]), None), force=force)
    if best is not None:
        chosen = {**{name: given[name] for name in _KEPT if name in given}, **best.setting.options()}
        write_preset(opened.folder, preset, chosen, figures(best, rows[0]))
    if not quiet:
        facts = {"preset": preset if best else None, "rows": [row_of(row, rows[0], best) for row in rows]}
        click.echo(json.dumps(facts) if as_json else text_of(opened.name, rows, best, max_distance, preset))
    return 0 if best else 1


def _check(bundle: Bundle, options: dict[str, Any], preset: str, strip: Path | None, *, force: bool) -> None:
    """Raise an error for what can be known to fail before a network is opened."""
    check_preset_name(preset)
    channels, *_ = bundle.image_shape()  # distances are those of images
    if bundle.name in bundled_names():
        raise ConfigError(
            f"{bundle.name} comes with the package, and a preset is written into the model: copy the folder "
            f"{bundle.folder}, and tune the copy"
        )
    request_of(bundle, cast(Options, options))
    check_can_write(bundle.folder / "generation_config.json")
    if strip is not None:
        if strip.suffix != ".png":
            raise ConfigError(f"--strip must be a .png file, not {strip}")
        check_channels(channels)
        check_can_write(strip)
        check_free(strip, force=force)
