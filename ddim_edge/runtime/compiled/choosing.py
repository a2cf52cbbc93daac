"""Finds what was measured of a graph, for ``--provider auto``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ProviderError
from ..providers.device import Device
from ..providers.table import AUTO
from .choice import Choice
from .measured import Measured, device_of
from .places import FOLDER_NAME, cached_folders, caches_of
from .recipe import component_of
from .store import SourceGraph


@dataclass(frozen=True)
class Chosen:
    """What ``auto`` takes for a graph.

    Attributes:
        row: what was measured of it; None where nothing was measured that holds here.
        fault: why what was measured does not hold here, as text; None where it does, or nothing was measured.
    """

    row: Measured | None = None
    fault: str | None = None


def chosen(graph: Path, precision: str) -> Chosen:
    """What was measured best of ``graph`` on this machine among what ``--precision`` allows. Fast where nothing was."""
    source, fault = SourceGraph(graph), None
    for choice in _choices(source.graph, precision):
        if not source.matches(choice):
            if choice.graph == source.graph:
                fault = fault or f"{component_of(graph)} has changed since"
            continue
        row = choice.best(precision)
        why = "nothing ran" if row is None else _fault(choice, row)
        if why is None:
            return Chosen(row)
        fault = fault or why
    return Chosen(fault=fault)


def chosen_device(graph: Path, asked: Device) -> tuple[Device | None, str | None]:
    """The device for ``auto``, and why there is none, where something was measured that does not hold here."""
    found = chosen(graph, asked.precision)
    return (None if found.row is None else device_of(found.row, asked)), found.fault


def _choices(graph: Path, precision: str) -> Sequence[Choice]:
    """The choices for a graph of this name that cover ``precision``, of any bundle, newest first."""
    found = [choice for choice in _read(graph) if choice.covers(precision)]
    return sorted(found, key=lambda choice: choice.date, reverse=True)


def _read(graph: Path) -> Iterator[Choice]:
    for cache in caches_of(graph.parent.parent):
        for folder in cached_folders(cache):
            named = FOLDER_NAME.fullmatch(folder.name)
            if named and named.group("provider", "component") == (AUTO, component_of(graph)):
                choice = Choice.read(folder)
                if choice is not None:
                    yield choice


def _fault(choice: Choice, row: Measured) -> str | None:
    try:
        device_of(row, Device())
        return next(choice.faults(row), None)
    except ProviderError as error:
        return str(error)
