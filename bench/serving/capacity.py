"""Worker process: the engine's capacity on this machine, without HTTP.

In a process of its own, so that no session is open beside the servers'.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.pipeline import Pipeline, load
from ddim_edge.generation.requests.request import Request
from ddim_edge.runtime.workers.child import Respond, serve

from ..harness import interleaved, run_once
from ..results import Record
from .batches import MAX_ROWS, MODEL, request_of_body, run_to_end
from .trace import mixed_row_calls, trace

WARM_UP_S = 3.0
ROUNDS = 5
"""Each figure is the median of so many interleaved rounds."""
BATCHES = (1, 4, 8, 16)
"""Requests that run to their end together; 1 is serving one at a time."""
_FULL = "kept full"


def measure(seconds: float) -> Record:
    """Requests a second of the mix: kept full, and in batches that run to their end. Starts a process."""
    return run_once("bench.serving.capacity", {"seconds": seconds})


def open_engine(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Measure all figures."""
    pipeline = load(MODEL, "cpu")
    requests = [request_of_body(pipeline.bundle, ask.body()) for ask in trace(500)]
    turns = {_FULL: _kept_full(pipeline, requests)} | {str(n): _to_end(pipeline, requests, n) for n in BATCHES}
    meter = _Meter(pipeline)
    meter.rate(turns[_FULL], WARM_UP_S)
    measures = {name: partial(meter.rate, turn, settings["seconds"] / ROUNDS) for name, turn in turns.items()}
    taken = interleaved(measures, ROUNDS, lambda _text: None)
    rates = {name: statistics.median(rounds) for name, rounds in taken.items()}
    mean = mixed_row_calls()
    facts = {
        "requests_per_second": round(rates[_FULL] / mean, 4),
        "row_calls_per_second": round(rates[_FULL], 2),
        "range": [round(pick(taken[_FULL]) / mean, 4) for pick in (min, max)],
        "row_calls_a_request": round(mean, 3),
        "max_rows": MAX_ROWS,
        "run_to_end_requests_per_second": {str(n): round(rates[str(n)] / mean, 4) for n in BATCHES},
    }
    return facts, lambda _request: {}


class _Meter:
    """Counts the rows of network calls."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.rows = 0
        pipeline.denoiser.on_call = self._count

    def _count(self, rows: int, _seconds: float) -> None:
        self.rows += rows

    def rate(self, turn: Callable[[], None], seconds: float) -> float:
        """Rows a second while ``turn`` is called again and again for ``seconds``; the last call runs to its end."""
        self.rows, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            turn()
        return self.rows / (time.perf_counter() - began)


def _kept_full(pipeline: Pipeline, requests: Sequence[Request]) -> Callable[[], None]:
    engine, coming = Engine(pipeline.denoiser, MAX_ROWS), itertools.cycle(requests)

    def turn() -> None:
        while len(engine.jobs) < MAX_ROWS:
            request = next(coming)
            for index in range(request.num_images):
                engine.add(job_of(pipeline.bundle, request, index))
        engine.step()

    return turn


def _to_end(pipeline: Pipeline, requests: Sequence[Request], count: int) -> Callable[[], None]:
    batches = itertools.cycle([requests[at : at + count] for at in range(0, len(requests), count)])

    def turn() -> None:
        run_to_end(pipeline.denoiser, pipeline.bundle, next(batches))

    return turn


if __name__ == "__main__":
    serve(open_engine)
