"""Builds the graphs of a large bundle for the CPU when they are first opened, so that later openings map their weights.

Opening computes what is built anyway: to write it down takes less time than to open the graph once more.
"""

import contextlib
import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...bundle.layout import graphs_of
from ...errors import BuildError, ConfigError, OutputError, ProviderError
from ...graphs.external_data import check_onnx_file
from ...graphs.fingerprint import graph_sha256
from ..compiled.entry import Compiled, write_record
from ..compiled.machine import Machine
from ..compiled.places import user_cache
from ..compiled.recipe import Recipe
from ..compiled.store import find
from ..compiled.upkeep import clear, locked, remove_outdated
from ..providers.device import Device
from ..providers.options import compile_time_options
from ..providers.table import AUTO, CPU
from .opening import FallbackWarning
from .optimized import check_optimized, write_optimized

LARGE = 500_000_000
"""Bytes of all graphs of a bundle and their weights, above which it is built. A smaller one opens within a second."""
LOG = logging.getLogger("ddim_edge.build")
_PATIENCE = 120.0
"""Seconds to wait for another process that builds."""


class FirstBuild:
    """Builds what is opened of a large bundle on the CPU and is not built yet; once it fails, it is not tried again."""

    def __init__(self, device: Device) -> None:
        self._may_build, self._has_told = device.build, False

    def ensure(self, graph: Path, bundle: Path, device: Device) -> None:
        """Build ``graph`` of ``bundle`` where that pays. Where it is not possible, a FallbackWarning says why."""
        if not (self._may_build and runs_on_cpu(device) and is_large(bundle)):
            return
        recipe = _recipe(graph, device)
        try:
            if not _is_built(recipe):
                self._build(recipe)
        except (BuildError, ConfigError, OutputError, ProviderError) as error:
            self._may_build = False
            reason = str(error).removesuffix(".")
            message = (
                f"{recipe.component} is not built for this processor: {reason}. It opens more slowly and keeps its"
            )
            warnings.warn(f"{message} weights in private memory; --no-build leaves this out", FallbackWarning, 3)

    def _build(self, recipe: Recipe) -> None:
        cache = user_cache()
        with locked(cache, _PATIENCE, lambda: LOG.info("waiting for another process that builds in %s", cache)):
            if _is_built(recipe):  # by the process that had the lock
                return
            remove_outdated(cache, recipe.graph, recipe.provider)
            _check_room(cache, recipe.graph)
            if not self._has_told:
                LOG.info("building for this processor, once, in %s (--no-build leaves it out)", cache)
                self._has_told = True
            compiled = _written(recipe, cache)
        LOG.info("%s is built: %.1f MB in %.1f s", recipe.component, compiled.size / 1e6, compiled.seconds)


def is_large(bundle: Path) -> bool:
    """Whether a bundle is built when it is first opened on the CPU, and its calls take little memory."""
    return sum(map(graph_size, graphs_of(bundle))) > LARGE


def graph_size(graph: Path) -> int:
    """The bytes of a graph and of the files beside it that may be its weights."""
    return sum(path.stat().st_size for path in graph.parent.glob(f"{graph.name}*") if path.is_file())


def is_mapped(graph: Path, device: Device) -> bool:
    """Whether the graph's weights are mapped on the CPU: it is built for it."""
    return _is_built(_recipe(graph, device))


def runs_on_cpu(device: Device) -> bool:
    """Whether graphs run on the CPU by ONNX Runtime: named, or the first that ``auto`` tries."""
    return device.provider in (AUTO, CPU.name) and next(device.candidates(), None) == CPU


def _recipe(graph: Path, device: Device) -> Recipe:
    options = compile_time_options(device.options)
    return Recipe(CPU.name, graph.absolute(), {}, Machine.of(CPU.name), options=options)


def _is_built(recipe: Recipe) -> bool:
    return bool(find(recipe.graph, recipe.provider, options=recipe.options, machine=recipe.machine).fitting)


def _check_room(cache: Path, graph: Path) -> None:
    """Raise OutputError where there may be too little space; packed and unpacked weights are at most twice as many."""
    files = {graph, *check_onnx_file(graph, graph.parent.parent)}
    needed, free = 2 * sum(path.stat().st_size for path in files), shutil.disk_usage(cache).free
    if free < needed:
        room = f"{free / 1e9:.1f} GB are free, and up to {needed / 1e9:.1f} are needed"
        raise OutputError(f"cannot write {cache}: {room}. DDIM_EDGE_CACHE names another place")


def _written(recipe: Recipe, cache: Path) -> Compiled:
    """Write and check the entry of the cache. The graph is opened while the files are hashed."""
    began, sha256 = time.monotonic(), graph_sha256(recipe.graph)
    folder = recipe.folder(cache, sha256)
    with _removed_on_failure(folder), ThreadPoolExecutor(1) as other:
        clear(folder)
        write_optimized(recipe.graph, folder)
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
