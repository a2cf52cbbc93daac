"""Writes what a bundle has beside its networks: tokenizers, the scheduler's file, export.json and model_index.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddim_edge.bundle.defaults import Defaults
from ddim_edge.bundle.format import format_keys
from ddim_edge.bundle.layout import EXPORT_RECORD, GENERATION_CONFIG, INDEX, OUTPUT, SCHEDULER
from ddim_edge.files import write_file

from .output.record import entry_of, hash_files, json_bytes, write_json
from .sources.checkpoint import checkpoint_licence
from .sources.copied import copy_folders
from .sources.diffusers_folder import Source
from .sources.licence import model_card_licence
from .sources.locate import Location
from .sources.new_words import add_tokens
from .sources.pictures import output_of
from .sources.scheduler import Scheduler


def finish_bundle(
    out: Path, source: Source, scheduler: Scheduler, location: Location, defaults: Defaults, **facts: Any
) -> None:
    """Copy the folders without a network, then write the files that make ``out`` a bundle, model_index.json last.

    ``facts`` are further keys of its export.json.
    """
    copy_folders(source, out)
    add_tokens(source, out)
    write_json(out / SCHEDULER, scheduler.keys)
    if output_of(source.index):
        write_json(out / OUTPUT, output_of(source.index))
    if defaults.to_json():
        write_json(out / GENERATION_CONFIG, defaults.to_json())
    index = json_bytes(_index(source, scheduler))
    entries = dict(sorted({**hash_files(out), INDEX: entry_of(index)}.items()))
    write_json(
        out / EXPORT_RECORD,
        {**format_keys(), **_origin(location), **facts, "scheduler": scheduler.origin, "files": entries},
    )
    write_file(out / INDEX, index)


def _index(source: Source, scheduler: Scheduler) -> Mapping[str, Any]:
    """The bundle's model_index.json: the source's, with the class of its scheduler if that was replaced."""
    kind = scheduler.keys.get("_class_name", "DDIMScheduler")
    return {**source.index, "scheduler": ["diffusers", kind]} if scheduler.origin == "given" else source.index


def _origin(location: Location) -> dict[str, str | None]:
    """The source and its licence, for the bundle's export.json."""
    if location.checkpoint is not None:
        return {"source": location.name, "licence": checkpoint_licence(location.checkpoint)}
    origin = {"source": location.name, "licence": model_card_licence(location.folder)}
    # A folder in the hub's cache is named after its commit.
    return origin | ({"revision": location.folder.name} if location.repository else {})
