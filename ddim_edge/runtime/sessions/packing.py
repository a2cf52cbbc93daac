"""Builds one graph for the CPU into the user's cache, for this process, which is about to open the graph."""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...errors import OutputError
from ...graphs.fingerprint import graph_files, graph_sha256
from ..compiled.entry import Compiled, write_record
from ..compiled.places import user_cache
from ..compiled.recipe import Recipe
from ..compiled.store import built_of
from ..compiled.upkeep import clear, locked, remove_outdated
from .optimized import check_optimized
from .writer import write_apart

LOG = logging.getLogger("ddim_edge.build")
_PATIENCE = 300.0
"""Seconds to wait for another process that builds."""


def build_here(recipe: Recipe, on_start: Callable[[Path], None]) -> None:
    """Build, or wait for another process that builds it. ``on_start`` is called with the cache's folder.

    Raises ConfigError where another process builds for minutes, OutputError where the cache cannot be written,
    BuildError or ProviderError where ONNX Runtime does not do it.
    """
    cache = user_cache()
    with locked(cache, _PATIENCE, lambda: LOG.info("waiting for another process that builds in %s", cache)):
        if built_of(recipe) is not None:  # by the process that had the lock
            return
        remove_outdated(cache, recipe.graph, recipe.provider)
        _check_room(cache, recipe.graph)
        on_start(cache)
        compiled = _written(recipe, cache)
    LOG.info("%s is built: %.1f MB in %.1f s", recipe.component, compiled.size / 1e6, compiled.seconds)


def _check_room(cache: Path, graph: Path) -> None:
    """Raise OutputError where there may be too little space; packed and unpacked weights are at most twice as many."""
    needed, free = 2 * sum(path.stat().st_size for path in graph_files(graph)), shutil.disk_usage(cache).free
    if free < needed:
        room = f"{free / 1e9:.1f} GB are free, and up to {needed / 1e9:.1f} are needed"
        raise OutputError(f"cannot write {cache}: {room}. DDIM_EDGE_CACHE names another place")


def _written(recipe: Recipe, cache: Path) -> Compiled:
    """Write and check the entry of the cache. The graph is opened while the files are hashed."""
    began, sha256 = time.monotonic(), graph_sha256(recipe.graph)
    folder = recipe.folder(cache, sha256)
    with _removed_on_failure(folder), ThreadPoolExecutor(1) as other:
        clear(folder)
        write_apart(recipe.graph, folder)
        check = other.submit(check_optimized, folder)
        compiled = write_record(folder, recipe, sha256, time.monotonic() - began)
        check.result()
    return compiled


@contextlib.contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
