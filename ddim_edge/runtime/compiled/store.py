"""The store of compiled graphs: TensorRT's engines, EPContext models, optimized graphs for the CPU.

Each has its own folder, ``CACHE/PROVIDER-COMPONENT-KEY``, in the bundle's folder or in the user's cache. Its
``built.json`` is written last: a folder without one is unfinished and is not used. The key is a hash of everything that
must match; ``built.json`` has the same as readable values, for the message when something does not match any more.
"""

import dataclasses
import datetime
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from ...bundle.layout import MODEL
from ...files import write_file
from ...graphs.fingerprint import Stamps, graph_sha256, graph_sketch, graph_stamps
from ..providers.options import compile_time_options
from ..providers.table import CompiledForm, provider_named
from .machine import Machine
from .recipe import Recipe, Shapes, component_of, provider_options

CACHE_VARIABLE = "DDIM_EDGE_CACHE"
RECORD = "built.json"
TIMING = ".timing"
"""The suffix of TensorRT's timing caches. They may change at any time, and are kept for the next build."""
_PLACE = "compiled"
_FOLDER_NAME = re.compile(r"(?P<provider>[a-z]+(?:-[a-z]+)*)-(?P<component>\w+)-[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True)
class Compiled:
    """A compiled graph, and how to run it.

    Attributes:
        folder: its folder in the cache.
        recipe: what was compiled, and for what; its ``graph`` is the source.
        sha256: the hash of the source graph and its weights.
        stamps, sketch: of the source's files when it was compiled, to recognize it without reading all of it.
        seconds, size, date: how long it took, its bytes on disk, and when it was finished, in ISO 8601.
    """

    folder: Path
    recipe: Recipe
    sha256: str
    stamps: Stamps
    sketch: str
    seconds: float
    size: int
    date: str

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read a folder of the cache; None where it is unfinished, or of another version of this program.

        None also where a file is missing or truncated: TensorRT would build for minutes, and a plugin may crash.
        """
        try:
            facts = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            if any((folder / name).stat().st_size != size for name, size in facts["files"].items()):
                return None
            recipe = Recipe.from_json(facts, folder)
            stamps = {name: tuple(stamp) for name, stamp in facts["stamps"].items()}
            known = (facts[name] for name in ("sketch", "seconds", "bytes", "date"))
            return cls(folder, recipe, facts["graph_sha256"], stamps, *known)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @property
    def _form(self) -> CompiledForm | None:
        return provider_named(self.recipe.provider).compiled_form

    @property
    def graph(self) -> Path:
        """The graph for ONNX Runtime to open: for engines the source, because the provider finds them by itself."""
        return self.recipe.graph if self._form is CompiledForm.ENGINES else self.folder / MODEL

    @property
    def optimized(self) -> bool:
        """Whether the graph is optimized already, and has to be opened with ORT_DISABLE_ALL."""
        return self._form is CompiledForm.OPTIMIZED

    @property
    def is_context(self) -> bool:
        """Whether it is an EPContext model, which has one node in place of all that the provider compiled."""
        return self._form is CompiledForm.CONTEXT

    @property
    def options(self) -> dict[str, str]:
        """The provider's options to run it with."""
        return provider_options(self.recipe, self.folder)

    @property
    def session_entries(self) -> dict[str, str]:
        """The session's config entries: an EPContext model that does not fit must fail, not be compiled again."""
        return {"session.disable_model_compile": "1"} if self.is_context else {}

    @property
    def batches(self) -> tuple[int, ...]:
        """The rows of its inputs, such as 2, or 1 and 2 for a fused step of guided images; empty where any fit."""
        return tuple(sorted({shape[0] for shape in self.recipe.shapes.values()}))

    def fits(self, shapes: Shapes) -> bool:
        """Whether it takes inputs of these shapes; inputs with fixed shapes may be left out."""
        return all(shapes.get(name) == shape for name, shape in self.recipe.shapes.items())


class Found(NamedTuple):
    """What the caches have for one graph."""

    fitting: tuple[Compiled, ...]
    """What runs here, newest first; one per shape where the provider compiles for shapes."""
    reasons: tuple[str, ...]
    """Why the others do not run here, as text."""


class SourceGraph:
    """A graph to compare with what was compiled. Its weights are read only if its files' stamps have changed."""

    def __init__(self, graph: Path) -> None:
        self.graph = graph.absolute()

    @functools.cached_property
    def stamps(self) -> Stamps:
        return graph_stamps(self.graph)

    @functools.cached_property
    def sketch(self) -> str:
        return graph_sketch(self.graph)

    @functools.cached_property
    def sha256(self) -> str:
        return graph_sha256(self.graph)

    def matches(self, entry: Compiled) -> bool:
        """Whether ``entry`` was compiled from a graph with these contents."""
        if self.stamps == entry.stamps:
            return True
        sizes, compiled = ([stamp[0] for stamp in stamps.values()] for stamps in (self.stamps, entry.stamps))
        return sizes == compiled and self.sketch == entry.sketch and self.sha256 == entry.sha256


def find(
    graph: Path,
    provider: str,
    which: str | None = None,
    options: Mapping[str, str] | None = None,
    machine: Machine | None = None,
) -> Found:
    """Find what was compiled of ``graph`` for one device of a provider, in the bundle's folder and the user's cache.

    ``options``: the provider's options that the user gave. Fast where nothing was compiled. Raises ProviderError where
    something was, and the provider does not load.
    """
    source = SourceGraph(graph)
    entries = list(_entries(source.graph, provider))
    own = [entry for entry in entries if source.matches(entry)]
    changed = [f"{component_of(graph)} has changed since" for entry in entries if _is_outdated(entry, source, own)]
    if not own:
        return Found((), tuple(changed[:1]))
    here, wanted = machine or Machine.of(provider, which), compile_time_options(options or {})
    faults = [(entry, _faults(entry, here, wanted)) for entry in own]
    fitting = sorted((entry for entry, found in faults if not found), key=lambda entry: entry.date, reverse=True)
    reasons = dict.fromkeys([*changed, *(why for _, found in faults for why in found)])
    return Found(tuple(_opened_at(entry, source.graph) for entry in fitting), tuple(reasons))


def user_cache() -> Path:
    """The user's cache of compiled graphs, for all bundles."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]).absolute() / _PLACE
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "ddim-edge" / _PLACE


def bundle_cache(bundle: Path) -> Path:
    """The cache in a bundle's own folder."""
    return bundle.absolute() / _PLACE


def cached_folders(cache: Path) -> list[Path]:
    """The folders of a cache that this program made, finished or not, recognized by their names; no links."""
    if not cache.is_dir():
        return []
    named = (path for path in sorted(cache.iterdir()) if _FOLDER_NAME.fullmatch(path.name))
    return [path for path in named if path.is_dir() and not path.is_symlink()]


def write_record(folder: Path, recipe: Recipe, sha256: str, seconds: float) -> Compiled:
    """Write ``built.json``, which marks a folder as finished. Raises OutputError where it cannot be written."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    files = {name: size for name, size in sizes.items() if not name.endswith(TIMING)}
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    measured = {"seconds": round(seconds, 3), "bytes": sum(sizes.values()), "date": date, "files": files}
    facts = {**recipe.to_json(folder, sha256), **measured}
    write_file(folder / RECORD, json.dumps(facts, indent=1).encode())
    written = Compiled.read(folder)
    assert written is not None
    return written


def _entries(graph: Path, provider: str) -> Iterator[Compiled]:
    """The finished entries of the caches for a provider and a component of this name, of any bundle."""
    for cache in (bundle_cache(graph.parent.parent), user_cache()):
        for folder in cached_folders(cache):
            named = _FOLDER_NAME.fullmatch(folder.name)
            if named and named.group("provider", "component") == (provider, component_of(graph)):
                found = Compiled.read(folder)
                if found is not None:
                    yield found


def _faults(entry: Compiled, here: Machine, options: Mapping[str, str]) -> list[str]:
    """Why what was compiled does not fit this machine and these options."""
    faults = list(here.differences(entry.recipe.machine))
    if entry.recipe.options != options:
        built = " ".join(f"--provider-option {key}={value}" for key, value in entry.recipe.options.items())
        faults.append(f"built with {built or 'no --provider-option'}")
    return faults


def _is_outdated(entry: Compiled, source: SourceGraph, own: list[Compiled]) -> bool:
    return entry not in own and entry.recipe.graph == source.graph


def _opened_at(entry: Compiled, graph: Path) -> Compiled:
    """The same entry with the path that the graph has now."""
    return dataclasses.replace(entry, recipe=dataclasses.replace(entry.recipe, graph=graph))
