"""What the engine alone can do on this machine, without HTTP: ``python -m bench.serving.capacity SECONDS``.

In a process of its own, so that no session is left open beside the servers'.
"""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from ddim_edge.bundle.bundle import Bundle
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.pipeline import load
from ddim_edge.generation.requests.request import Request
from ddim_edge.networks.denoiser import Denoiser

from ..results import ROOT, Record
from .batches import MAX_ROWS, MODEL, request_of_body, run_to_end
from .trace import mixed_row_calls, trace

WARM_UP_S = 3.0
ROUNDS = 5
"""What is measured takes turns; each figure is the median of its rounds."""
BATCHES = (1, 4, 8, 16)
"""Requests that run to their end together; one is serving one at a time."""


def measure(seconds: float) -> Record:
    """Requests a second of the mix: kept full, and in batches that run to their end. Runs a process."""
    command = [sys.executable, "-m", "bench.serving.capacity", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def main(seconds: float) -> None:
    pipeline = load(MODEL, "cpu")
    denoiser, bundle, meter = pipeline.denoiser, pipeline.bundle, _Meter(pipeline.denoiser)
    requests = [request_of_body(bundle, ask.body()) for ask in trace(500)]
    turns = {0: _kept_full(denoiser, bundle, requests)} | {n: _to_end(denoiser, bundle, requests, n) for n in BATCHES}
    meter.rate(turns[0], WARM_UP_S)
    taken = [{n: meter.rate(turn, seconds / ROUNDS) for n, turn in turns.items()} for _ in range(ROUNDS)]
    rates = {n: statistics.median(each[n] for each in taken) for n in turns}
    mean = mixed_row_calls()
    answer = {
        "requests_per_second": round(rates[0] / mean, 4),
        "row_calls_per_second": round(rates[0], 2),
        "range": [round(pick(each[0] for each in taken) / mean, 4) for pick in (min, max)],
        "row_calls_a_request": round(mean, 3),
        "max_rows": MAX_ROWS,
        "run_to_end_requests_per_second": {str(n): round(rates[n] / mean, 4) for n in BATCHES},
    }
    print(json.dumps(answer))


class _Meter:
    """Counts the rows of network calls."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.rows = 0
        denoiser.on_call = self._count

    def _count(self, rows: int, _seconds: float) -> None:
        self.rows += rows

    def rate(self, turn: Callable[[], None], seconds: float) -> float:
        """Rows a second of wall time while ``turn`` is taken again and again for ``seconds``, its last turn whole."""
        self.rows, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            turn()
        return self.rows / (time.perf_counter() - began)


def _kept_full(denoiser: Denoiser, bundle: Bundle, requests: Sequence[Request]) -> Callable[[], None]:
    engine, coming = Engine(denoiser, MAX_ROWS), itertools.cycle(requests)

    def turn() -> None:
        while len(engine.jobs) < MAX_ROWS:
            request = next(coming)
            for index in range(request.num_images):
                engine.add(job_of(bundle, request, index))
        engine.step()

    return turn


def _to_end(denoiser: Denoiser, bundle: Bundle, requests: Sequence[Request], count: int) -> Callable[[], None]:
    batches = itertools.cycle([requests[at : at + count] for at in range(0, len(requests), count)])

    def turn() -> None:
        run_to_end(denoiser, bundle, next(batches))

    return turn


if __name__ == "__main__":
    main(float(sys.argv[1]))
