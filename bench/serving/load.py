"""Throughput and latency of three ways to serve one engine under Poisson arrivals."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence

from ddim_edge.benchmark.rounds import Notify

from .. import tables
from ..results import Record, read
from . import capacity
from .client import TIMED_OUT, Outcome, images_of, open_client, replay
from .processes import NO_BOUND, Server, baseline, ours
from .summary import cell_of
from .trace import SEED, Ask, trace

SUBJECT = "serving_load"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "litserve", "fastapi", "uvicorn")

WAYS = ("one at a time", "batch by batch", "step by step")
_CHECK = Ask(0.0, 10, (8,), 7)


def measure(requests: int, loads: Sequence[int], batch: int, seconds: float, notify: Notify) -> Record:
    """Measure every cell that is not in the record yet, and write each at once; returns the record.

    ``loads`` are percents of the capacity, ``batch`` requests make a batch of the second way, ``seconds`` is how
    long each figure of the capacity is measured. A record of other settings is replaced.
    """
    settings: Record = {"requests": requests, "warm_up_requests": warm_up(requests), "batch": batch, "seed": SEED}
    record = read(SUBJECT)
    if record.get("settings") != settings:
        record = {"settings": settings, "cells": {}}
    if "capacity" not in record:
        notify("the engine alone, kept full and in batches")
        record["capacity"] = capacity.measure(seconds)
        tables.publish(SUBJECT, record, PACKAGES)
    for load in loads:
        for way in WAYS:
            if f"{way} {load}" not in record["cells"]:
                notify(f"{way}, at {load} % of the capacity")
                record["cells"][f"{way} {load}"] = _cell(way, load, record)
                tables.publish(SUBJECT, record, PACKAGES)
    return record


def warm_up(requests: int) -> int:
    """The number of requests before those that count."""
    return max(10, requests // 10)


def _cell(way: str, load: int, record: Record) -> Record:
    settings = record["settings"]
    rate = record["capacity"]["requests_per_second"] * load / 100
    asks = trace(settings["warm_up_requests"] + settings["requests"], settings["seed"])
    with _servers(settings["batch"])[way]() as server:
        fingerprint = asyncio.run(_check(server))
        outcomes = asyncio.run(replay(server.url, asks, rate))
    _same_images(record, fingerprint)
    return {"way": way, "load": load, "rate": round(rate, 4), **_counted(outcomes, settings["warm_up_requests"])}


def _servers(batch: int) -> Mapping[str, Callable[[], Server]]:
    unbounded = ("--max-queue", str(NO_BOUND), "--max-per-client", str(NO_BOUND), "--timeout", "3600")
    servers = (lambda: baseline(1), lambda: baseline(batch), lambda: ours(*unbounded))
    return dict(zip(WAYS, servers, strict=True))


async def _check(server: Server) -> str:
    """The hash of the pixels of one request sent alone; it also makes the server open its model."""
    async with open_client() as client:
        return hashlib.sha256((await images_of(client, server.url, _CHECK))[0].tobytes()).hexdigest()


def _same_images(record: Record, fingerprint: str) -> None:
    """Raise RuntimeError unless all ways make the same image, bit for bit."""
    if record.setdefault("fingerprint", fingerprint) != fingerprint:
        raise RuntimeError("the servers make different images of one request: they cannot be compared")


def _counted(outcomes: Sequence[Outcome], warm_up_requests: int) -> Record:
    broken = [outcome.status for outcome in outcomes if outcome.status not in (200, 429, 504, TIMED_OUT)]
    if broken:
        raise RuntimeError(f"{len(broken)} requests failed, with {sorted(set(broken))}: see the server's log")
    return cell_of(outcomes, warm_up_requests)
