"""How long a graph takes to open on the CPU: as the exporter wrote it, and as ``ddim-edge build`` optimized it.

This module is the worker process, too: a process per opening.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ddim_edge
from ddim_edge.benchmark.rounds import Notify
from ddim_edge.build.plan import BuildRequest, plan
from ddim_edge.build.run import build
from ddim_edge.bundle.read import open_bundle
from ddim_edge.runtime.compiled.places import user_cache
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.providers.onnxruntime_module import runtime
from ddim_edge.runtime.workers.child import Record, Respond, serve
from ddim_edge.user_cache import CACHE_VARIABLE

from ..harness import compare, interleaved, run_once
from ..results import ROOT
from . import Subject

ROUNDS = 15
SIDES = ("plain", "built")
_EMOJI = ROOT / "models" / "emoji"
_CPU = Device("cpu")


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Medians of interleaved rounds for every graph of the bundle and of the emoji model."""
    bundles = (subject.bundle, _EMOJI)
    with tempfile.TemporaryDirectory() as folder:
        caches = {side: Path(folder) / side for side in SIDES}
        for bundle in bundles:
            notify(f"opening: building {bundle.name}")
            _build(bundle, caches["built"])
        graphs = {f"{bundle.name}/{path.parent.name}": path for bundle in bundles for path in _graphs(bundle)}
        return {"rounds": ROUNDS, "graphs": {name: _graph(graphs[name], caches, notify) for name in graphs}}


def _graphs(bundle: Path) -> list[Path]:
    return [recipe.graph for recipe in plan(open_bundle(bundle), _CPU, BuildRequest())]


def _build(bundle: Path, cache: Path) -> None:
    os.environ[CACHE_VARIABLE] = str(cache)
    for _ in build(plan(open_bundle(bundle), _CPU, BuildRequest()), user_cache(), _CPU):
        pass


def _graph(graph: Path, caches: Mapping[str, Path], notify: Notify) -> dict[str, Any]:
    measures = {side: _opening(graph, cache) for side, cache in caches.items()}
    taken = interleaved(measures, ROUNDS, notify, warm_up=1)  # the first round fills the system's file cache
    return {
        "seconds": {side: statistics.median(seconds) for side, seconds in taken.items()},
        **compare(taken["built"], taken["plain"]),
    }


def _opening(graph: Path, cache: Path) -> Callable[[], float]:
    settings = {"graph": str(graph), "cache": str(cache)}
    return lambda: float(run_once("bench.speed.opening", settings)["seconds"])


def open_graph(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """The seconds of one opening, without those that importing takes."""
    os.environ[CACHE_VARIABLE] = settings["cache"]
    runtime()
    began = time.perf_counter()
    ddim_edge.Session(Path(settings["graph"]), "cpu")
    return {"seconds": time.perf_counter() - began}, lambda _request: {}


if __name__ == "__main__":
    serve(open_graph)
