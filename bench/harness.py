"""Interleaved rounds and worker processes: the harness of ``ddim-edge bench``, for all measurements of bench/."""

import contextlib
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ddim_edge.benchmark.rounds import Notify, interleave
from ddim_edge.runtime.workers.parent import Worker

Taken = TypeVar("Taken")
Settings = Mapping[str, Any]


@dataclass
class _Side(Generic[Taken]):
    """One of the things that are compared: a function that measures it once."""

    label: str
    measure: Callable[[], Taken]
    rounds: list[Taken] = field(default_factory=list)
    is_running: bool = True

    def take(self, _number: int) -> None:
        self.rounds.append(self.measure())


def interleaved(
    measures: Mapping[str, Callable[[], Taken]], rounds: int, notify: Notify, *, warm_up: int = 0
) -> dict[str, list[Taken]]:
    """What each function returned in ``rounds`` rounds, A B C A B C; the ``warm_up`` rounds before are not counted."""
    sides = [_Side(label, measure) for label, measure in measures.items()]
    interleave(sides, warm_up + rounds, notify)
    return {side.label: side.rounds[warm_up:] for side in sides}


@contextlib.contextmanager
def workers(module: str, settings: Mapping[str, Settings]) -> Iterator[dict[str, Callable[[], dict[str, Any]]]]:
    """A worker process of ``module`` for each entry, all running until the end of the block; each measures when called.

    They start one after another, so that each warms up alone. Raises WorkerFailedError where one fails.
    """
    with contextlib.ExitStack() as stack:
        started = dict[str, Callable[[], dict[str, Any]]]()
        for label, each in settings.items():
            worker = Worker(module, each)
            stack.callback(worker.stop)
            worker.ready()
            started[label] = worker.ask
        yield started


def run_once(module: str, settings: Settings) -> dict[str, Any]:
    """What a worker process of ``module`` says when it is ready, after which it is stopped."""
    worker = Worker(module, settings)
    try:
        return worker.ready()
    finally:
        worker.stop()


def compare(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """How many times longer theirs takes: the ratio of the medians, and the lowest and highest of the pairs."""
    pairs = [their / our for our, their in zip(ours, theirs, strict=True)]
    ratio = statistics.median(theirs) / statistics.median(ours)
    return {"ratio": round(ratio, 3), "pairs": [round(min(pairs), 3), round(max(pairs), 3)]}


def column(taken: Mapping[str, Sequence[Mapping[str, Any]]], name: str) -> dict[str, list[float]]:
    """One value of every round, by side."""
    return {side: [each[name] for each in rounds] for side, rounds in taken.items()}
