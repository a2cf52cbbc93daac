"""The store of compiled graphs: TensorRT's engines, EPContext models, optimized graphs for the CPU.

It finds what was compiled of a graph, and says why the rest of it does not fit.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ...graphs.fingerprint import Stamps, graph_sha256, graph_sketch, graph_stamps
from ..providers.options import compile_time_options
from ..providers.precision import CHOSEN_BY_PROVIDER, FLOAT32, precision_named
from .entry import Compiled
from .machine import Machine
from .places import FOLDER_NAME, cached_folders, caches_of
from .recipe import Recipe, component_of, recorded_precision


class Found(NamedTuple):
    """What the caches have for one graph."""

    fitting: tuple[Compiled, ...]
    """What runs here, newest first; one per shape where the provider compiles for shapes."""
    reasons: tuple[str, ...]
    """Why the others do not run here, as text."""
    damaged: tuple[str, ...] = ()
    """Those of ``reasons`` that name damaged files."""


class Recorded(Protocol):
    """A record about a graph, with what recognizes the graph."""

    @property
    def sha256(self) -> str: ...

    @property
    def stamps(self) -> Stamps: ...

    @property
    def sketch(self) -> str: ...


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

    def matches(self, entry: Recorded) -> bool:
        """Whether ``entry`` is of a graph with these contents."""
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
    precision: str = CHOSEN_BY_PROVIDER,
) -> Found:
    """Find what was compiled of ``graph`` for one device of a provider, in the bundle's folder and the user's cache.

    ``options``: the provider's options that the user gave. ``precision``: the device's; with auto any fits. Fast
    where nothing was compiled. Raises ProviderError where something was, and the provider does not load.
    """
    source = SourceGraph(graph)
    entries = list(_entries(source.graph, provider))
    own = [entry for entry in entries if source.matches(entry)]
    changed = [f"{component_of(graph)} has changed since" for entry in entries if _is_outdated(entry, source, own)]
    if not own:
        return Found((), tuple(changed[:1]))
    here, wanted = machine or Machine.of(provider, which), compile_time_options(options or {})
    faults = [(entry, _faults(entry, here, wanted)) for entry in own]
    if precision != CHOSEN_BY_PROVIDER:
        computes_in = recorded_precision(provider, source.graph, precision)
        faults = [(entry, [*found, *_other_precision(entry, computes_in)]) for entry, found in faults]
    whole, harmed = _sort_out_damaged([entry for entry, found in faults if not found])
    fitting = sorted(whole, key=lambda entry: entry.date, reverse=True)
    reasons = dict.fromkeys([*changed, *(why for _, found in faults for why in found), *harmed])
    return Found(tuple(_opened_at(entry, source.graph) for entry in fitting), tuple(reasons), tuple(harmed))


def built_of(recipe: Recipe) -> Compiled | None:
    """What is built of exactly this recipe, in the bundle's folder or the user's cache."""
    found = find(recipe.graph, recipe.provider, options=recipe.options, machine=recipe.machine)
    return next((compiled for compiled in found.fitting if compiled.recipe == recipe), None)


def _entries(graph: Path, provider: str) -> Iterator[Compiled]:
    """The finished entries of the caches for a provider and a component of this name, of any bundle."""
    for cache in caches_of(graph.parent.parent):
        for folder in cached_folders(cache):
            named = FOLDER_NAME.fullmatch(folder.name)
            if named and named.group("provider", "component") == (provider, component_of(graph)):
                found = Compiled.read(folder)
                if found is not None and found.recipe.provider == provider:
                    yield found


def _faults(entry: Compiled, here: Machine, options: Mapping[str, str]) -> list[str]:
    """Why what was compiled does not fit this machine and these options."""
    faults = list(here.differences(entry.recipe.machine))
    if entry.recipe.options != options:
        built = " ".join(f"--provider-option {key}={value}" for key, value in entry.recipe.options.items())
        faults.append(f"built with {built or 'no --provider-option'}")
    return faults


def _other_precision(entry: Compiled, precision: str | None) -> Iterator[str]:
    """That it computes in another precision than ``precision``, as a recipe records it, as text; else nothing."""
    if entry.recipe.precision != precision:
        yield f"built with --precision {precision_named(entry.recipe.precision or FLOAT32)}"


def _is_outdated(entry: Compiled, source: SourceGraph, own: list[Compiled]) -> bool:
    return entry not in own and entry.recipe.graph == source.graph


def _opened_at(entry: Compiled, graph: Path) -> Compiled:
    """The same entry with the path that the graph has now."""
    return dataclasses.replace(entry, recipe=dataclasses.replace(entry.recipe, graph=graph))


def _sort_out_damaged(entries: Sequence[Compiled]) -> tuple[list[Compiled], list[str]]:
    """The entries whose files are those that were built, and what is wrong with the others, as text."""
    faults = [(entry, entry.damage()) for entry in entries]
    harmed = [f"{entry.folder} is damaged: {fault}" for entry, fault in faults if fault is not None]
    return [entry for entry, fault in faults if fault is None], harmed
