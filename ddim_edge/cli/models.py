"""``ddim-edge models``: lists the models that are on this machine."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..bundle.bundle import Bundle
from ..bundle.layout import DENOISERS
from ..bundle.read import bundled_folder, bundled_names, open_bundle
from ..errors import DdimEdgeError, listed
from ..runtime.compiled.entry import Compiled
from ..runtime.compiled.places import caches_of
from ..runtime.compiled.upkeep import entries


class Found(NamedTuple):
    """A model that was found: how a command names it, and where it is from."""

    name: str
    place: str


@click.command("models")
@click.argument("folders", nargs=-1, metavar="[FOLDER]…", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--json", "as_json", is_flag=True, envvar="DDIM_EDGE_MODELS_JSON", help="Print one machine-readable line."
)
def models_command(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the models on this machine.

    They are the bundled models, the bundles in each FOLDER (default: the current folder), and those in the cache of
    the Hugging Face hub. The first column is what the other commands take as MODEL.

    \b
    Examples:
      ddim-edge models
      ddim-edge models /srv/models --json
    """
    found = [*_bundled(), *_in_folders(folders or (Path(),)), *_in_hub_cache()]
    compiled = _compiled(found)
    facts = [_facts(model, compiled) for model in found]
    click.echo(json.dumps({"models": facts}) if as_json else _table(facts))


def _bundled() -> Iterator[Found]:
    for name in bundled_names():
        yield Found(name, "bundled")


def _in_folders(folders: Sequence[Path]) -> Iterator[Found]:
    """The bundles that are one of the folders, or a folder in it."""
    for folder in folders:
        for graph in (*_denoisers(folder, ""), *_denoisers(folder, "*/")):
            yield Found(f"{graph.parent.parent}/", "folder")


def _in_hub_cache() -> Iterator[Found]:
    for graph in _denoisers(_hub_cache(), "models--*/snapshots/*/"):
        yield Found(str(graph.parent.parent), "Hugging Face cache")


def _denoisers(folder: Path, bundles: str) -> list[Path]:
    """The graphs that denoise, of bundles in ``folder`` by a pattern."""
    return sorted(graph for denoiser in DENOISERS for graph in folder.glob(f"{bundles}{denoiser.graph}"))


def _hub_cache() -> Path:
    """The folder that huggingface_hub downloads to."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def _compiled(models: Sequence[Found]) -> list[Compiled]:
    """What is compiled and of use here, in the caches of all models: the user's is read once."""
    bundled = bundled_folder() or Path()
    folders = [bundled / model.name if model.place == "bundled" else Path(model.name) for model in models]
    caches = dict.fromkeys(cache for folder in folders for cache in caches_of(folder))
    return [entry.compiled for entry in entries(list(caches)) if entry.compiled and not entry.fault]


def _facts(model: Found, compiled: Sequence[Compiled]) -> dict[str, Any]:
    """What is known of a model; "error" where it cannot be read."""
    known: dict[str, Any] = {"model": model.name, "place": model.place}
    try:
        bundle = open_bundle(model.name)
    except DdimEdgeError as error:
        return {**known, "error": str(error)}
    sizes = [path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file()]
    own = [each for each in compiled if each.recipe.graph.is_relative_to(bundle.folder.absolute())]
    return {
        **known,
        "folder": str(bundle.folder),
        "kind": _kind(bundle),
        "labels": list(bundle.labels),
        "image_shape": list(bundle.image_shape()) if bundle.output.is_image else None,
        "sample_shape": list(bundle.sample_shape),
        "bytes": sum(sizes),
        "built": sorted({each.recipe.provider for each in own}),
    }


def _kind(bundle: Bundle) -> str:
    """What a model makes its images from."""
    if bundle.free_inputs:
        return listed(bundle.free_inputs)
    if bundle.inputs.picture is not None:
        return f"{bundle.inputs.picture.name}{', text' if bundle.inputs.text else ''}"
    if bundle.inputs.text:
        return "inpainting" if bundle.inputs.takes_mask else "text"
    return f"{len(bundle.labels)} classes" if bundle.labels else "no condition"


def _table(facts: Sequence[dict[str, Any]]) -> str:
    """The models as a table."""
    rows = [_row(each) for each in facts]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows]
    return "\n".join(lines) or "no models: give the folder that has them, or make one by `ddim-edge export`"


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    if "error" in facts:
        return facts["model"], facts["place"], "", "", "", facts["error"]
    _, height, width = facts["image_shape"] or ("", "", "")
    size = f"{width}x{height}" if facts["image_shape"] else "x".join(map(str, facts["sample_shape"]))
    built = f"built for {', '.join(facts['built'])}" if facts["built"] else ""
    return facts["model"], facts["place"], facts["kind"], size, f"{facts['bytes'] / 1e6:.1f} MB", built
