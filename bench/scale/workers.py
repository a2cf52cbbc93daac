"""``serve --workers 2`` with a thread each against one process with two threads, under the same load."""

import asyncio
import os
import statistics
from collections import Counter
from pathlib import Path

from .. import results
from ..results import Record
from ..serving.processes import Server, ours
from .serve_cluster import CONCURRENCY, load, wait_for

WORKERS = 2


def measure(work: Path, quick: bool) -> Record:
    """Images a second of each, and the list ``failures``: requests that were not answered with an image."""
    requests, rounds = (24, 1) if quick else (400, 3)
    os.environ.pop("OMP_NUM_THREADS", None)
    store = f"sqlite:{work / 'store.db'}"
    with (
        ours(name="one-process") as one,
        ours("--workers", str(WORKERS), "--store", store, name="workers") as many,
    ):
        wait_for(lambda: _children(many) == WORKERS)
        found, statuses = _throughput({"one_process": one, "workers": many}, requests, rounds)
    failures = [f"{count} requests ended with {status}" for status, count in statuses.items() if status != 200]
    return {
        "concurrency": CONCURRENCY,
        "requests": requests,
        "rounds": rounds,
        **found,
        "of_one_process": round(found["workers"] / found["one_process"], 2),
        **results.environment("onnxruntime"),
        "failures": failures,
    }


def _throughput(servers: dict[str, Server], requests: int, rounds: int) -> tuple[dict[str, float], Counter[int]]:
    """The median of rounds that take turns, after one that is not counted; and how many requests had each status."""
    rates: dict[str, list[float]] = {name: [] for name in servers}
    statuses: Counter[int] = Counter()
    for number in range(rounds + 1):
        for name, server in servers.items():
            rate, ended = asyncio.run(load(server.address, requests if number else CONCURRENCY))
            statuses += ended
            if number:
                rates[name].append(rate)
    return {name: round(statistics.median(found), 1) for name, found in rates.items()}, statuses


def _children(server: Server) -> int:
    return len(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split())
