"""The share of wall time that engine and HTTP take beside the network, with eight requests at a time."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.serving import AsyncEngine, Settings

from .. import tables
from ..harness import interleaved
from ..results import Record
from .batches import MAX_ROWS, MODEL
from .client import open_client, post
from .processes import ours
from .trace import Ask

SUBJECT = "serving_overhead"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "fastapi", "uvicorn")
AT_ONCE, NUM_STEPS = 8, 50
BAR = 0.05
WARM_UP_REQUESTS = AT_ONCE
Way = Callable[[int], Coroutine[Any, Any, Record]]
Make = Callable[[int], Awaitable[object]]
"""Make one image of a seed."""


@dataclass(frozen=True)
class Count:
    """The network calls so far: how many, their rows, and their seconds."""

    calls: float
    rows: float
    seconds: float


Read = Callable[[], Awaitable[Count]]


def measure(rounds: int, repetitions: int, notify: Notify) -> Record:
    """The median share of each way in interleaved ``repetitions`` of ``rounds`` requests per client."""
    ways = {"over HTTP": _over_http, "AsyncEngine alone": _engine_alone}
    measures = {way: partial(_run, run, rounds) for way, run in ways.items()}
    taken = interleaved(measures, repetitions, notify)
    record = {
        "at_once": AT_ONCE,
        "num_steps": NUM_STEPS,
        "rounds": rounds,
        "bar": BAR,
        "rows": [_row(way, each) for way, each in taken.items()],
    }
    tables.publish(SUBJECT, record, PACKAGES)
    return record


def _run(way: Way, rounds: int) -> Record:
    return asyncio.run(way(rounds))


def _row(way: str, taken: list[Record]) -> Record:
    shares = [each["share"] for each in taken]
    return {
        "way": way,
        "repetitions": len(taken),
        "share": round(statistics.median(shares), 5),
        "range": [round(min(shares), 5), round(max(shares), 5)],
        "rows_a_call": round(statistics.median(each["rows_a_call"] for each in taken), 3),
        "call_ms": round(statistics.median(each["call_ms"] for each in taken), 3),
    }


async def _over_http(rounds: int) -> Record:
    with ours(name="overhead") as server:
        async with open_client() as client:

            async def make(seed: int) -> None:
                status = await post(client, server.url, Ask(0.0, NUM_STEPS, (seed % 10,), seed))
                if status != 200:
                    raise RuntimeError(f"a request was answered {status}: {server.log} says why")

            return await _keep_going(make, lambda: _scrape(client, server.address), rounds)


async def _scrape(client: httpx2.AsyncClient, address: str) -> Count:
    return count_of((await client.get(f"{address}/metrics")).text)


async def _engine_alone(rounds: int) -> Record:
    async with AsyncEngine([MODEL], Settings(provider="cpu", max_rows=MAX_ROWS)) as engine:

        async def make(seed: int) -> object:
            request = engine.request(labels=[seed % 10], num_steps=NUM_STEPS, seed=seed, sampler="ddim")
            return await engine.submit(request)

        async def read() -> Count:
            return count_of(engine.metrics.text().decode())

        return await _keep_going(make, read, rounds)


async def _keep_going(make: Make, read: Read, rounds: int) -> Record:
    """Eight clients, each of which sends its next request after the response to the last one.

    Measured between the first and the last response of the rounds after the warm-up, with all clients busy. They start
    an eighth of a request apart, as independent clients do.
    """
    seeds = itertools.count()
    apart = await _apart(make, next(seeds))
    left = itertools.count(-WARM_UP_REQUESTS)
    marks: dict[int, tuple[float, Count]] = {}
    last = rounds * AT_ONCE

    async def client(number: int) -> None:
        await asyncio.sleep(number * apart)
        while (turn := next(left)) <= last:
            if turn in (0, last):
                marks[turn] = (time.perf_counter(), await read())
            await make(next(seeds))

    await asyncio.gather(*(client(number) for number in range(AT_ONCE)))
    return _share(*marks[0], *marks[last])


async def _apart(make: Make, seed: int) -> float:
    """About an eighth of the time of a request among eight; alone it takes a fourth of that time."""
    began = time.perf_counter()
    await make(seed)
    return (time.perf_counter() - began) * 4 / AT_ONCE


def _share(began: float, before: Count, ended: float, after: Count) -> Record:
    calls, seconds = after.calls - before.calls, after.seconds - before.seconds
    return {
        "share": 1 - seconds / (ended - began),
        "rows_a_call": (after.rows - before.rows) / calls,
        "call_ms": 1000 * seconds / calls,
    }


def count_of(text: str) -> Count:
    """The network calls in Prometheus' text."""
    samples = {each.name: each.value for family in text_string_to_metric_families(text) for each in family.samples}
    steps, rows = "ddim_edge_step_seconds", "ddim_edge_batch_rows"
    return Count(samples.get(f"{steps}_count", 0), samples.get(f"{rows}_sum", 0), samples.get(f"{steps}_sum", 0))
