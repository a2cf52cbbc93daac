"""The upkeep of a cache of compiled graphs: one writer at a time, what is in it, and what may go."""

import contextlib
import functools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ...errors import BundleError, ConfigError, OutputError, ProviderError
from .machine import Machine
from .store import RECORD, TIMING, Compiled, SourceGraph, cached_folders

_LOCK = ".lock"
UNFINISHED = "unfinished"

MachinesOf = Callable[[str], Sequence[Machine]]
"""The machine that this is, as each device of a provider sees it; ProviderError where the provider does not load."""


class Entry(NamedTuple):
    """A folder of a cache."""

    folder: Path
    compiled: Compiled | None
    """None where it is unfinished."""
    fault: str | None
    """Why it is of no use here; None where it is, and where nobody can say because its provider does not load."""
    size: int
    """Bytes on disk."""


def entries(caches: Sequence[Path], machines_of: MachinesOf | None = None) -> list[Entry]:
    """All folders of some caches, and what is wrong with them."""
    finder = _FaultFinder(machines_of or Machine.all_of)
    folders = [folder for cache in caches for folder in cached_folders(cache)]
    found = ((folder, Compiled.read(folder)) for folder in folders)
    return [Entry(folder, compiled, finder.fault(compiled), _size(folder)) for folder, compiled in found]


def prune(caches: Sequence[Path], machines_of: MachinesOf | None = None) -> list[Entry]:
    """Remove what is of no use here, and return it. ConfigError while something is built into one of the caches."""
    gone = []
    for cache in filter(Path.is_dir, caches):
        with locked(cache):
            for entry in entries([cache], machines_of):
                if entry.fault:
                    (entry.folder / RECORD).unlink(missing_ok=True)  # first: what is left of it must not look finished
                    shutil.rmtree(entry.folder)
                    gone.append(entry)
    return gone


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Hold a cache for oneself; ConfigError where another process does. The system lets go of it when one ends."""
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
    """Make a folder ready to be built into: nothing of an earlier attempt stays but what TensorRT has timed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not path.name.endswith(TIMING):
            path.unlink()


class _FaultFinder:
    """What is wrong with an entry, asking every provider, and reading every graph, but once."""

    def __init__(self, machines_of: MachinesOf) -> None:
        self._machines = functools.cache(functools.partial(_machines, machines_of))
        self._source = functools.cache(SourceGraph)

    def fault(self, compiled: Compiled | None) -> str | None:
        if compiled is None:
            return UNFINISHED
        graph = compiled.recipe.graph
        try:
            if not self._source(graph).matches(compiled):
                return f"{graph} has changed since"
        except BundleError:
            return f"{graph} is gone"
        machines = self._machines(compiled.recipe.provider)
        faults = [list(here.differences(compiled.recipe.machine)) for here in machines]
        return "; ".join(sorted(faults, key=len)[0]) or None if faults else None


def _machines(machines_of: MachinesOf, provider: str) -> Sequence[Machine]:
    """None where the provider does not load: on another machine that shares the cache it may."""
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
