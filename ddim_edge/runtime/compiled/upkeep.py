"""Maintains a cache of compiled graphs: locks it, lists its entries, and removes those that are of no use here."""

import contextlib
import functools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ...errors import BundleError, ConfigError, OutputError, ProviderError
from . import choice as choices
from .choice import Choice
from .entry import RECORD, TIMING, Compiled
from .integrity import incomplete
from .machine import Machine
from .places import cached_folders
from .store import SourceGraph

_LOCK = ".lock"
UNFINISHED = "unfinished"

MachinesOf = Callable[[str], Sequence[Machine]]
"""From a provider's name to this machine for each of its devices. Raises ProviderError where it does not load."""


class Entry(NamedTuple):
    """A folder of a cache."""

    folder: Path
    compiled: Compiled | None
    """None for an unfinished folder, and for a choice."""
    fault: str | None
    """Why it is of no use here; None where it is of use, or unknown because its provider does not load."""
    size: int
    """Bytes on disk."""
    choice: Choice | None = None
    """What ``ddim-edge build --provider auto`` measured, where the folder holds that."""


def entries(caches: Sequence[Path], machines_of: MachinesOf | None = None) -> list[Entry]:
    """All entries of some caches, with what is wrong with them."""
    finder = _FaultFinder(machines_of or Machine.all_of)
    folders = [folder for cache in caches for folder in cached_folders(cache)]
    found = ((folder, _finished(folder), Choice.read(folder)) for folder in folders)
    return [
        Entry(folder, compiled, finder.fault(compiled or choice), _size(folder), choice)
        for folder, compiled, choice in found
    ]


def prune(caches: Sequence[Path], machines_of: MachinesOf | None = None) -> list[Entry]:
    """Remove the entries that are of no use here, and return them. Raises ConfigError during a build into a cache."""
    gone = []
    for cache in filter(cached_folders, caches):
        with locked(cache):
            for entry in entries([cache], machines_of):
                if entry.fault:
                    # First, so that an interrupted removal leaves an unfinished folder.
                    for record in (RECORD, choices.RECORD):
                        (entry.folder / record).unlink(missing_ok=True)
                    shutil.rmtree(entry.folder)
                    gone.append(entry)
    return gone


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Lock a cache for this process; the system frees the lock when the process ends.

    Raises ConfigError where another process has the lock, OutputError where the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        file = open(cache / _LOCK, "ab")  # noqa: SIM115
    except OSError as error:
        raise OutputError(f"cannot write {cache}: {error.strerror}. DDIM_EDGE_CACHE names another place") from None
    with file:
        try:
            _lock(file)
        except OSError:
            raise ConfigError(f"another `ddim-edge build` is at work in {cache}: wait for it, or stop it") from None
        yield


def clear(folder: Path) -> None:
    """Empty a folder before a build, except for TensorRT's timing caches of an earlier attempt."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not path.name.endswith(TIMING):
            path.unlink()


def _finished(folder: Path) -> Compiled | None:
    """The compiled graph in a folder; None where a file of it is not there. The contents are not read."""
    compiled = Compiled.read(folder)
    return None if compiled is None or incomplete(folder, compiled.contents) else compiled


class _FaultFinder:
    """Finds what is wrong with entries; loads every provider and reads every graph at most once."""

    def __init__(self, machines_of: MachinesOf) -> None:
        self._machines = functools.cache(functools.partial(_machines, machines_of))
        self._source = functools.cache(SourceGraph)

    def fault(self, found: Compiled | Choice | None) -> str | None:
        if found is None:
            return UNFINISHED
        graph = found.graph if isinstance(found, Choice) else found.recipe.graph
        try:
            if not self._source(graph).matches(found):
                return f"{graph} has changed since"
        except BundleError:
            return f"{graph} is gone"
        return _fault_of_choice(found) if isinstance(found, Choice) else self._fault_of_machine(found)

    def _fault_of_machine(self, compiled: Compiled) -> str | None:
        machines = self._machines(compiled.recipe.provider)
        faults = [list(here.differences(compiled.recipe.machine)) for here in machines]
        return "; ".join(sorted(faults, key=len)[0]) or None if faults else None


def _fault_of_choice(choice: Choice) -> str | None:
    """How this machine differs from the one of the measurement; None where the provider does not load."""
    best = choice.best(choice.precision)
    with contextlib.suppress(ProviderError):
        return "; ".join(best.faults()) or None if best else "nothing ran"
    return None


def _machines(machines_of: MachinesOf, provider: str) -> Sequence[Machine]:
    """Empty where the provider does not load: it may load on another machine that shares the cache."""
    try:
        return machines_of(provider)
    except ProviderError:
        return ()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
