"""Half an hour at 100 % of the capacity, with clients that go away, cancel, and ask for nonsense."""

import asyncio
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench import tables
from bench.results import Record, read
from bench.serving import capacity
from bench.serving.batches import MODEL
from bench.serving.client import images_of, open_client, post
from bench.serving.load import SUBJECT as LOAD
from bench.serving.processes import Server, ours
from bench.serving.trace import SEED, Ask, trace
from ddim_edge.arrays import Pixels
from ddim_edge.benchmark.rounds import Notify
from ddim_edge.generation.pipeline import Pipeline, load

from .visitors import Seen, Visitors, sample_rss

SUBJECT = "serving_soak"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "fastapi", "uvicorn")
WARM_UP_SHARE = 1 / 6
"""Of the run: 5 minutes of 30."""
RSS_EVERY_S = 1.0
GROWTH_BAR = 0.05
ALONE, AT_THE_END = 4, 6
_BEGUN_S = 0.5
"""After that the last requests have been begun: they take several times as long."""


def measure(minutes: float, notify: Notify) -> Record:
    """The record, which is also written; ``faults`` says everything that must not have been."""
    rate = _rate(notify)
    count = max(20, round(rate * 60 * minutes))
    with ours(name="soak") as server:
        notify(f"{count} requests at {rate:.2f} a second, {minutes:g} minutes")
        seen, samples, alone, last = asyncio.run(_run(server, trace(count, SEED + 1), rate))
        exit_code = server.stop()
        log = server.log.read_text(errors="replace")
    notify("comparing the images with the pipeline's")
    growth = rss_growth([size for at, size in samples if at >= samples[-1][0] * WARM_UP_SHARE])
    differences = _compare(load(MODEL, "cpu"), alone, seen)
    record = {
        "minutes": minutes,
        "rate": round(rate, 4),
        "counts": dict(sorted(seen.counts.items())),
        "rss_kib": [size for _, size in samples[:: max(1, len(samples) // 60)]],
        "rss_growth": round(growth, 5),
        "bar": GROWTH_BAR,
        **differences,
        "answered_after_sigterm": f"{last.count(200)} of {len(last)}",
        "exit_code": exit_code,
        "tracebacks_in_log": log.count("Traceback (most recent call last)"),
        "failures": [*seen.faults, *_failures(growth, differences, last)],
    }
    tables.publish(SUBJECT, record, PACKAGES)
    return record


def _rate(notify: Notify) -> float:
    """The capacity that the load bench has measured; measured now where it has not."""
    known = read(LOAD).get("capacity")
    if known is None:
        notify("the engine alone")
        known = capacity.measure(10.0)
    return float(known["requests_per_second"])


Made = list[tuple[Ask, list[Pixels]]]
Samples = list[tuple[float, int]]


async def _run(server: Server, asks: Sequence[Ask], rate: float) -> tuple[Seen, Samples, Made, list[int]]:
    """Requests alone, all the visitors, requests alone, and some that are running when SIGTERM comes."""
    async with open_client() as client:
        alone = [(ask, await images_of(client, server.url, ask)) for ask in _single(asks[:ALONE])]
        sampling = asyncio.create_task(sample_rss(server.rss_kib, RSS_EVERY_S))
        seen = await _visits(Visitors(client, server.address, Seen()), asks, rate)
        sampling.cancel()
        samples = await sampling
        alone += [(ask, await images_of(client, server.url, ask)) for ask in _single(asks[-ALONE:])]
        running = [asyncio.create_task(post(client, server.url, ask)) for ask in _long(asks[:AT_THE_END])]
        await asyncio.sleep(_BEGUN_S)
        server.terminate()
        return seen, samples, alone, await asyncio.gather(*running)


async def _visits(visitors: Visitors, asks: Sequence[Ask], rate: float) -> Seen:
    """Every visit at its time; returns when the last one is over."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number, ask in enumerate(asks):
            await asyncio.sleep(began + ask.at / rate - loop.time())
            group.create_task(visitors.visit(ask, random.Random(f"{SEED}:{number}")))
    return visitors.seen


def _single(asks: Sequence[Ask]) -> list[Ask]:
    """Their first image alone: it steps at batch 1."""
    return [replace(ask, labels=ask.labels[:1]) for ask in asks]


def _long(asks: Sequence[Ask]) -> list[Ask]:
    """Together they run for longer than it takes to send them."""
    return [replace(ask, steps=50) for ask in asks]


def rss_growth(sizes: Sequence[int]) -> float:
    """By how much the median of the last fifth is above the first fifth's, as a share."""
    fifth = max(1, len(sizes) // 5)
    return statistics.median(sizes[-fifth:]) / statistics.median(sizes[:fifth]) - 1


def _compare(pipeline: Pipeline, alone: Made, seen: Seen) -> Record:
    """How far the served images are from the pipeline's, in grey levels of 255."""
    return {
        "alone_images": len(alone),
        "alone_difference": max(_difference(pipeline, *each) for each in alone),
        "compared_images": sum(len(images) for _, images in seen.kept),
        "compared_difference": max((_difference(pipeline, *each) for each in seen.kept), default=0),
    }


def _difference(pipeline: Pipeline, ask: Ask, images: list[Pixels]) -> int:
    made = pipeline.generate(
        num_images=ask.images, labels=ask.labels, num_steps=ask.steps, seed=ask.seed, sampler="ddim", batch_size=1
    )
    return int(np.abs(made.images[..., 0].astype(int) - np.stack(images)).max())


def _failures(growth: float, differences: Record, last: Sequence[int]) -> list[str]:
    """What was wanted and is not so."""
    wanted = {
        f"the memory grew by {growth:.1%}": growth < GROWTH_BAR,
        "an image made alone is not the pipeline's to the bit": differences["alone_difference"] == 0,
        "an image is off by more than one grey level": differences["compared_difference"] <= 1,
        f"after SIGTERM running requests were answered {list(last)}": set(last) == {200},
    }
    return [what for what, well in wanted.items() if not well]
