"""``ddim-edge upgrade``: brings an older bundle to the format of today, without PyTorch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..bundle.bundle import Bundle
from ..bundle.read import bundled_folder, open_bundle
from ..errors import ConfigError
from ..graphs.external_data import huggingface_blobs
from .graph_tools import graph_tools


@click.command("upgrade")
@click.argument("bundle")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="NEW",
    help="Leave BUNDLE as it is, and write an upgraded copy to the new folder NEW.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_UPGRADE_JSON", help="Print one machine-readable line."
)
def upgrade_command(bundle: str, output: Path | None, quiet: bool, as_json: bool) -> None:
    """Upgrade BUNDLE to the newest format, without PyTorch.

    Graphs that take whole timesteps alone get a float32 timestep, as new exports have it: Euler then makes the pictures
    that it makes in diffusers. The predictions at whole timesteps stay the same, bit for bit, and that is checked. What
    only a new export changes is said.

    The hash of the bundle changes with its graphs: pictures that were made before name another model. Files are
    replaced one by one as a whole; an interrupted upgrade can be run again. It needs the packages onnx and onnxscript,
    of the extra `export`.

    \b
    Examples:
      ddim-edge upgrade my-bundle/
      ddim-edge upgrade fashion-mnist --output upgraded/
    """
    before = open_bundle(bundle)
    if output is None:
        _check_is_own(before)
    old_hash = before.sha256
    upgrade = _run(before.folder, output)
    after = open_bundle(output or before.folder)
    facts = {
        "bundle": str(after.folder),
        "format_before": upgrade.format_before,
        "format": upgrade.format,
        "changed": list(upgrade.changed),
        "left": list(upgrade.left),
        "sha256_before": old_hash,
        "sha256": after.sha256,
    }
    if not quiet:
        click.echo(json.dumps(facts) if as_json else "\n".join(_lines(facts)))


def _check_is_own(bundle: Bundle) -> None:
    """Raise ConfigError for a bundled model, and for one in the cache of the Hugging Face hub."""
    copy = f"`ddim-edge upgrade {bundle.name} --output NEW` writes an upgraded copy to the folder NEW"
    bundled = bundled_folder()
    if bundled is not None and bundle.folder.resolve().is_relative_to(bundled.resolve()):
        raise ConfigError(f"{bundle.name} is a model of the package, and stays as it is: {copy}")
    if huggingface_blobs(bundle.folder) is not None:
        raise ConfigError(f"{bundle.name} is in the Hugging Face cache, and stays as it is: {copy}")


def _run(folder: Path, output: Path | None) -> Any:
    with graph_tools("upgrade"):
        from ddim_edge_export.upgrade import upgrade_bundle, upgrade_copy
    return upgrade_bundle(folder) if output is None else upgrade_copy(folder, output)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    name, before, now, changed = (facts[key] for key in ("bundle", "format_before", "format", "changed"))
    if not changed and before == now:
        yield f"{name}: nothing to upgrade: {_format(now)}"
    else:
        yield f"{name}: {_format(now)}" + ("" if before == now else f", and had {before}")
    yield from (f"{graph}: its timestep is float32 now; the same predictions at whole timesteps" for graph in changed)
    if changed:
        yield f"sha256 {facts['sha256']}, before {facts['sha256_before']}: pictures made before name the old one"
    yield from (f"left as it is: {reason}" for reason in facts["left"])


def _format(number: int | None) -> str:
    if number is None:
        return "it has no format number, because another program exported it"
    return f"it has format {number}"
