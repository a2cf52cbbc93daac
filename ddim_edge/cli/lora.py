"""``ddim-edge lora``: adds a LoRA to a bundle, or puts it into the weights of a copy. Needs no PyTorch."""

import json
from pathlib import Path
from typing import Any

import click

from ..bundle.bundle import Bundle
from ..bundle.read import open_bundle
from ..lora.convert import add_adapter
from ..lora.fuse import fuse_lora
from ..lora.trained import TrainedLora, read_trained


@click.command("lora")
@click.argument("file")
@click.argument("bundle")
@click.option("--name", help="Name of the LoRA in BUNDLE.  [default: FILE's, without its ending]")
@click.option(
    "--fuse",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Leave BUNDLE as it is, and write a copy with the LoRA in its weights to the new folder OUT.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, envvar="DDIM_EDGE_LORA_JSON", help="Print one machine-readable line.")
def lora_command(file: str, bundle: str, name: str | None, fuse: Path | None, quiet: bool, as_json: bool) -> None:
    """Add FILE, a LoRA, to BUNDLE, without PyTorch.

    FILE is a LoRA in safetensors, with the names of kohya's trainers, of PEFT or of diffusers. A key that matches no
    layer, and a matrix of another shape, are errors: the LoRA is of another base model.

    BUNDLE was exported with --lora-slots. The LoRA becomes loras/NAME.safetensors there, and `run --lora NAME:0.8` and
    the server's field `loras` use it; to remove it, remove that file.

    With --fuse, BUNDLE needs no slots. FILE:SCALE is the LoRA's strength then, 1 without it.

    \b
    Examples:
      ddim-edge lora style.safetensors my-bundle/
      ddim-edge lora style.safetensors my-bundle/ --name ink
      ddim-edge lora style.safetensors:0.8 my-bundle/ --fuse my-bundle-ink/
    """
    if fuse is not None and name is not None:
        raise click.UsageError("--name is of a LoRA in a slot, and --fuse puts it into the weights: leave one out")
    lora, opened = read_trained(file), open_bundle(bundle)
    facts = _add(opened, lora, name or lora.path.stem) if fuse is None else _fuse(opened, lora, fuse)
    if not quiet:
        click.echo(json.dumps(facts) if as_json else _text(facts))


def _add(bundle: Bundle, lora: TrainedLora, name: str) -> dict[str, Any]:
    added = add_adapter(bundle, lora, name)
    size = {"rank": added.rank, "layers": added.layers, "bytes": added.nbytes}
    return {"bundle": bundle.name, "name": name, "file": str(added.path), **size}


def _fuse(bundle: Bundle, lora: TrainedLora, out: Path) -> dict[str, Any]:
    layers = fuse_lora(bundle, lora, out)
    return {"bundle": str(out), "scale": lora.scale, "layers": layers, "sha256": open_bundle(out).sha256}


def _text(facts: dict[str, Any]) -> str:
    if "name" in facts:
        size = f"rank {facts['rank']}, {facts['layers']} layers, {facts['bytes'] / 1e6:.1f} MB"
        return f"{facts['file']}: {size}; use it with `ddim-edge run {facts['bundle']} --lora {facts['name']}:1`"
    return f"{facts['bundle']}: {facts['layers']} layers changed at scale {facts['scale']:g}; sha256 {facts['sha256']}"
