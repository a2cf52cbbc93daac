"""(g) The UNet where a process has not the whole machine: with ONNX Runtime's own choice of threads, and with ours.

``python -m bench.speed.threads SIDE PLACE GRAPH`` is one of the processes.
"""

import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import ddim_edge
from ddim_edge.runtime.hardware import cpu

from ..results import ROOT
from .processes import Notify, Subject, compare

SIDES = ("onnxruntime", "ours")
PLACES = ("whole", "mask", "quota", "busy")
CALLS = 20
ROUNDS = 9
_REST_S = 0.2
"""Threads that still spin after a call would take the processors from whoever is asked next."""
_GROUPS = Path("/sys/fs/cgroup")

Taken = dict[str, float]


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Seconds of a call and of processor time: medians of interleaved rounds, a process a side and place."""
    graph = subject.bundle / "unet" / "model.onnx"
    places = [place for place in PLACES if place != "quota" or _may_set_quotas()]
    return {"calls": CALLS, "rounds": ROUNDS, "places": {place: _place(place, graph, notify) for place in places}}


def _place(place: str, graph: Path, notify: Notify) -> dict[str, Any]:
    taken: dict[str, list[Taken]] = {side: [] for side in SIDES}
    with contextlib.ExitStack() as stack:
        children = {side: stack.enter_context(_child(side, place, graph)) for side in SIDES}
        stack.enter_context(_others(os.cpu_count() or 1 if place == "busy" else 0))
        for number in range(ROUNDS + 1):
            notify(f"threads, {place}, round {number} of {ROUNDS}")
            for side, child in children.items():
                answer = _ask(child)
                taken[side] += [answer] if number else []  # the first round warms up
    seconds = {side: [answer["seconds"] for answer in answers] for side, answers in taken.items()}
    sides = {
        side: {name: statistics.median(answer[name] for answer in answers) for name in answers[0]}
        for side, answers in taken.items()
    }
    return {"sides": sides, **compare(seconds["ours"], seconds["onnxruntime"])}


@contextlib.contextmanager
def _child(side: str, place: str, graph: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "bench.speed.threads", side, place, str(graph)]
    pipe = subprocess.PIPE
    limit: contextlib.AbstractContextManager[list[str]] = (
        _quota(side) if place == "quota" else contextlib.nullcontext(list[str]())
    )
    with limit as within:
        child = subprocess.Popen([*within, *command], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        try:
            yield child
        finally:
            child.communicate()


def _ask(child: "subprocess.Popen[str]") -> Taken:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    return dict(json.loads(child.stdout.readline()))


@contextlib.contextmanager
def _others(count: int) -> Iterator[None]:
    """So many processes that do nothing but take time."""
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
def _quota(name: str) -> Iterator[list[str]]:
    """Make a control group that may use one core; what to put before a command that is to run in it.

    Raises OSError where that is not allowed. The tree is that of the first version, or of the second.
    """
    first = _GROUPS / "cpu"
    folder = (first if first.is_dir() else _GROUPS) / f"ddim-edge-bench-{os.getpid()}-{name}"
    folder.mkdir()
    try:
        if first.is_dir():
            (folder / "cpu.cfs_quota_us").write_text((folder / "cpu.cfs_period_us").read_text())
        else:
            (folder / "cpu.max").write_text("100000 100000")
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(folder / "cgroup.procs")]
    finally:
        folder.rmdir()


def _run(side: str, graph: Path) -> Callable[[dict[str, Any]], Any]:
    if side == "ours":
        return ddim_edge.Session(graph, "cpu").run
    onnxruntime: Any = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


def _measure(run: Callable[[dict[str, Any]], Any]) -> Taken:
    sample = np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32)
    feeds = {"sample": sample, "timestep": np.array([500]), "class_labels": np.array([0])}
    began, worked = time.perf_counter(), time.process_time()
    for _ in range(CALLS):
        run(feeds)
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    return {"seconds": seconds / CALLS, "processor_seconds": processor / CALLS, "threads": cpu.threads()}


def main() -> None:
    side, place, graph = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if place == "mask":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run = _run(side, graph)
    for _ in sys.stdin:
        taken = _measure(run)
        time.sleep(_REST_S)
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
