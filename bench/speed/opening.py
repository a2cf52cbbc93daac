"""(h) How long a graph takes to open on the CPU: as the exporter wrote it, and as `ddim-edge build` optimized it.

``python -m bench.speed.opening GRAPH`` is one of the processes.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ddim_edge
from ddim_edge.build.plan import Wanted, plan
from ddim_edge.build.run import build
from ddim_edge.bundle.read import open_bundle
from ddim_edge.runtime.compiled.store import CACHE_VARIABLE, user_cache
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.providers.onnxruntime_module import runtime

from ..results import ROOT
from .processes import Notify, Subject, compare

ROUNDS = 15
SIDES = ("plain", "built")
_EMOJI = ROOT / "models" / "emoji"
_CPU = Device("cpu")


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Medians of interleaved rounds for every graph of the bundle and of the emoji model, a process an opening."""
    graphs = {
        f"{bundle.name}/{path.parent.name}": path for bundle in (subject.bundle, _EMOJI) for path in _graphs(bundle)
    }
    with tempfile.TemporaryDirectory() as folder:
        caches = {side: Path(folder) / side for side in SIDES}
        for bundle in (subject.bundle, _EMOJI):
            notify(f"opening: building {bundle.name}")
            _build(bundle, caches["built"])
        return {"rounds": ROUNDS, "graphs": {name: _graph(name, graphs[name], caches, notify) for name in graphs}}


def _graphs(bundle: Path) -> list[Path]:
    return [recipe.graph for recipe in plan(open_bundle(bundle), _CPU, Wanted())]


def _build(bundle: Path, cache: Path) -> None:
    os.environ[CACHE_VARIABLE] = str(cache)
    for _ in build(plan(open_bundle(bundle), _CPU, Wanted()), user_cache(), _CPU):
        pass


def _graph(name: str, graph: Path, caches: dict[str, Path], notify: Notify) -> dict[str, Any]:
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(ROUNDS + 1):
        notify(f"opening {name}: round {number} of {ROUNDS}")
        for side in SIDES:
            seconds = _opened(graph, caches[side])
            taken[side] += [seconds] if number else []  # the first round fills the system's file cache
    medians = {side: statistics.median(seconds) for side, seconds in taken.items()}
    return {"seconds": medians, **compare(taken["built"], taken["plain"])}


def _opened(graph: Path, cache: Path) -> float:
    command = [sys.executable, "-m", "bench.speed.opening", str(graph)]
    environment = {**os.environ, CACHE_VARIABLE: str(cache)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main(graph: Path) -> None:
    """Print the seconds of one opening, without those that importing takes."""
    runtime()
    began = time.perf_counter()
    ddim_edge.Session(graph, "cpu")
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
