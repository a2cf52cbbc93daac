"""Measures which device runs a model's network fastest, each in a process of its own, in interleaved rounds."""

import dataclasses
import json
import os
import signal
import statistics
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..build.plan import BuildRequest, call_shapes
from ..bundle.bundle import Bundle
from ..graphs.fingerprint import graph_stamps
from ..networks.components import unet_graph
from ..runtime.compiled.machine import Machine
from ..runtime.compiled.measured import GUIDED, SINGLE, Measured
from ..runtime.compiled.recipe import Shapes
from ..runtime.hardware import cpu
from ..runtime.hardware.memory import budget_bytes
from ..runtime.workers.parent import Worker, WorkerFailedError
from .agreement import TOLERANCES
from .rounds import Notify, interleave

WORKER = "ddim_edge.benchmark.network_worker"
ROUNDS = 3
ROUND_SECONDS = 0.2
"""Of each kind of call; one call where that takes longer."""
ANSWER_SECONDS = 300.0
"""A process that takes longer to open the network, or for one answer, hangs."""
FAR = 1.5
"""What takes longer than the best by this factor is measured once."""
_BYTES = 3
"""A process's memory, in sizes of the network's files."""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL

Calls = Mapping[str, Shapes]


def measure(bundle: Bundle, rows: Sequence[Measured], request: BuildRequest, notify: Notify) -> list[Measured]:
    """Measure the network of each step on every device of ``rows``; returns them with what was found.

    One that crashes, hangs, or computes something else than the first gets a reason. ``request``: the size of the
    images, and whether guided ones count. Large networks are opened one at a time, called once after a first call that
    does not count, and not with fewer threads than there are cores.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        common = {"bundle": str(bundle.folder), "reference": str(Path(folder) / "prediction.npy")}
        together = _fits_in_memory(bundle, len(rows))
        wanted = rows if together else [row for row in rows if not _leaves_cores_idle(row)]
        trials = [Trial(row, common, calls_of(bundle, request)) for row in wanted]
        for trial in trials:
            stack.callback(trial.stop)
            notify(f"measuring {trial.label}")
            trial.start()
            if trial.is_running:
                trial.take(0)
            if not together or _is_far(trial, trials):
                trial.stop()
        interleave(trials, ROUNDS - 1, notify)
        return [trial.measured() for trial in trials]


def calls_of(bundle: Bundle, request: BuildRequest) -> Calls:
    """The shapes of the inputs by kind of call. A graph of one fixed shape has one kind."""
    shapes = call_shapes(bundle, unet_graph(bundle), request)
    return {SINGLE: shapes[0], **({GUIDED: shapes[-1]} if len(shapes) > 1 else {})}


class Trial:
    """One device, with its process, and what was measured of it so far."""

    def __init__(self, row: Measured, common: Mapping[str, Any], calls: Calls) -> None:
        self.row, self._calls = row, calls
        self._settings = {**common, "device": dataclasses.asdict(row), "calls": calls}
        self._worker: Worker | None = None
        self._facts: dict[str, Any] = {}
        self._reason: str | None = None
        self._taken: dict[str, list[float]] = defaultdict(list)

    @property
    def label(self) -> str:
        return self.row.name

    @property
    def is_running(self) -> bool:
        return self._worker is not None

    def start(self) -> None:
        """Start the process; it opens the network and calls it once."""
        self._worker = Worker(WORKER, self._settings)
        self._facts = self._answer(self._worker.ready)
        difference = self._facts.get("difference")
        most = TOLERANCES["fp32" if self.row.precision == "float32" else "fp16"]
        if difference is not None and not difference <= most:
            self._fail(f"it computes something else: its prediction differs by {difference:.1e} of it")

    def take(self, _number: int, /) -> None:
        """Measure one round."""
        for kind in self._calls:
            if self._worker is not None:
                ask = self._worker.ask
                self._taken[kind] += self._answer(lambda: ask(kind=kind, seconds=ROUND_SECONDS)).get("taken", [])  # noqa: B023

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def measured(self) -> Measured:
        """What was found."""
        machine = Machine(**self._facts["machine"]) if "machine" in self._facts else None
        return dataclasses.replace(
            self.row,
            seconds={kind: statistics.median(taken) for kind, taken in self._taken.items() if taken},
            difference=self._facts.get("difference"),
            reason=self._reason,
            machine=machine,
        )

    def _answer(self, ask: Any) -> dict[str, Any]:
        """The process's answer; empty, with a reason, where it fails or takes too long."""
        assert self._worker is not None
        watch = threading.Timer(ANSWER_SECONDS, os.kill, (self._worker.pid, _KILL))
        watch.daemon = True
        watch.start()
        try:
            return dict(ask())
        except (WorkerFailedError, json.JSONDecodeError, KeyError) as error:
            hung = not watch.is_alive()
            self._fail(f"no answer within {ANSWER_SECONDS:g} s, as where a driver hangs" if hung else str(error))
            return {}
        finally:
            watch.cancel()

    def _fail(self, reason: str) -> None:
        self._reason = reason
        self.stop()


def _is_far(trial: Trial, trials: Sequence[Trial]) -> bool:
    times = [row.time for row in (other.measured() for other in trials) if row.reason is None]
    return trial.measured().time > FAR * min(times, default=float("inf"))


def _leaves_cores_idle(row: Measured) -> bool:
    return row.threads is not None and row.threads < (cpu.describe().chosen or 1)


def _fits_in_memory(bundle: Bundle, number: int) -> bool:
    """Whether so many processes can have the network open at the same time."""
    size = sum(stamp[0] for stamp in graph_stamps(unet_graph(bundle)).values())
    free = budget_bytes()
    return free is not None and number * _BYTES * size < free
