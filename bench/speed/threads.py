"""The UNet in a process that may not use the whole machine: with ONNX Runtime's choice of threads, and with ours.

This module is the worker process, too: a process per side and place.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.runtime.hardware import cpu
from ddim_edge.runtime.workers.child import Record, Respond, serve

from ..harness import column, compare, interleaved, workers
from . import Subject
from .unet import graph_of, open_unet

SIDES = ("onnxruntime", "ours")
PLACES = ("whole", "mask", "quota", "busy")
CALLS = 20
ROUNDS = 9
_GROUPS = Path("/sys/fs/cgroup")


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Seconds of a call and of processor time: medians of interleaved rounds, a process a side and place."""
    places = [place for place in PLACES if place != "quota" or _may_set_quotas()]
    found = {place: _place(place, graph_of(subject), notify) for place in places}
    return {"calls": CALLS, "rounds": ROUNDS, "places": found}


def _place(place: str, graph: str, notify: Notify) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        groups = {side: str(stack.enter_context(_quota(side))) if place == "quota" else None for side in SIDES}
        settings = {side: {"side": side, "place": place, "graph": graph, "group": groups[side]} for side in SIDES}
        measures = stack.enter_context(workers("bench.speed.threads", settings))
        stack.enter_context(_others(os.cpu_count() or 1 if place == "busy" else 0))
        taken = interleaved(measures, ROUNDS, notify, warm_up=1)
    seconds = column(taken, "seconds")
    sides = {
        side: {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        for side, rounds in taken.items()
    }
    return {"sides": sides, **compare(seconds["ours"], seconds["onnxruntime"])}


@contextlib.contextmanager
def _others(count: int) -> Iterator[None]:
    """So many processes that do nothing but take processor time."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _may_set_quotas() -> bool:
    try:
        with _quota("trial"):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def _quota(name: str) -> Iterator[Path]:
    """A control group that may use one core, of cgroups' first or second version.

    Raises OSError where making one is not allowed.
    """
    first = _GROUPS / "cpu"
    folder = (first if first.is_dir() else _GROUPS) / f"ddim-edge-bench-{os.getpid()}-{name}"
    folder.mkdir()
    try:
        if first.is_dir():
            (folder / "cpu.cfs_quota_us").write_text((folder / "cpu.cfs_period_us").read_text())
        else:
            (folder / "cpu.max").write_text("100000 100000")
        yield folder
    finally:
        folder.rmdir()


def open_side(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Restrict this process to its place, then open the UNet."""
    if settings["place"] == "mask":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if settings["group"] is not None:
        Path(settings["group"], "cgroup.procs").write_text(str(os.getpid()))
    run = open_unet(settings["graph"], ours=settings["side"] == "ours")
    return {}, lambda _request: _measure(run)


def _measure(run: Callable[[], Any]) -> Record:
    began, worked = time.perf_counter(), time.process_time()
    for _ in range(CALLS):
        run()
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    return {"seconds": seconds / CALLS, "processor_seconds": processor / CALLS, "threads": cpu.threads()}


if __name__ == "__main__":
    serve(open_side)
