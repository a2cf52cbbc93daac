"""Triton Inference Server against ``Pipeline.generate_many`` and ``ddim-edge serve``, and its step batching.

Every side computes with one thread. ``make test-triton`` makes the server's environment.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.triton.repository import write_repository
from tests.triton.server import PYTHON, Stream, is_last, triton_server

from .. import results
from ..results import Record
from ..serving.batches import MAX_ROWS
from ..serving.processes import ours
from ..serving.trace import CLASSES
from .serve_cluster import CONCURRENCY, STEPS, load

MODEL = "fashion-mnist"
LEAST_OF_SERVE, LEAST_OF_ONE = 0.85, 1.2
"""Triton's throughput over that of ``serve``, and that of 16 requests at once over that of one at a time."""
Rate = Callable[[int], float]
"""Images a second of so many requests."""


def measure(work: Path, quick: bool) -> Record:
    """The figures, and the list ``failures`` of the bounds that were not kept."""
    if not PYTHON:
        return {"failures": ["DDIM_EDGE_TRITON_PYTHON names no interpreter: make test-triton makes one"]}
    os.environ["OMP_NUM_THREADS"] = "1"
    requests, rounds = (16, 1) if quick else (200, 3)
    write_repository(open_bundle(MODEL), work / "repository")
    pipeline = ddim_edge.load(MODEL, provider="cpu")
    with triton_server(work / "repository", work) as server, ours(name="beside-triton") as plain:
        stream = Stream(server)
        sides: dict[str, Rate] = {
            "generate_many": lambda count: _alone(pipeline, count),
            "serve": lambda count: asyncio.run(load(plain.address, count))[0],
            "triton": lambda count: _streamed(stream, count, CONCURRENCY),
            "triton_one_at_a_time": lambda count: _streamed(stream, count, 1),
        }
        record: Record = {"concurrency": CONCURRENCY, "requests": requests, "rounds": rounds}
        record |= _rates(sides, requests, rounds)
        record["same_image"] = _same_image(stream, pipeline)
        stream.close()
    record["of_serve"] = round(record["triton"] / record["serve"], 2)
    record["of_one"] = round(record["triton"] / record["triton_one_at_a_time"], 2)
    return {**record, **results.environment("onnxruntime", "tritonclient"), "failures": _failures(record, quick)}


def _rates(sides: dict[str, Rate], requests: int, rounds: int) -> Record:
    """The median of rounds in which the sides take turns, after one that is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, rate in sides.items():
            found = rate(requests if number else CONCURRENCY)
            if number:
                rates[name].append(found)
    return {name: round(statistics.median(found), 1) for name, found in rates.items()}


def _alone(pipeline: ddim_edge.Pipeline, count: int) -> float:
    asked = (pipeline.request(labels=[n % CLASSES], seed=n, num_steps=STEPS, batch_size=1) for n in range(count))
    began = time.perf_counter()
    made = sum(1 for _ in pipeline.generate_many(asked, max_rows=MAX_ROWS))
    return made / (time.perf_counter() - began)


def _streamed(stream: Stream, count: int, at_once: int) -> float:
    """Keep ``at_once`` requests unanswered until all of them have been sent."""
    names = open_bundle(MODEL).labels
    began = time.perf_counter()
    sent = ended = 0
    while ended < count:
        while sent < count and sent - ended < at_once:
            stream.ask(MODEL, prompt=names[sent % CLASSES], seed=sent, num_inference_steps=STEPS)
            sent += 1
        ended += is_last(stream.next())
    return count / (time.perf_counter() - began)


def _same_image(stream: Stream, pipeline: ddim_edge.Pipeline) -> bool:
    """Whether the streamed image has the bits of ``generate``."""
    stream.ask(MODEL, prompt="bag", seed=7, num_inference_steps=STEPS)
    (response,) = stream.responses()
    expected = pipeline.generate(labels=["bag"], seed=7, num_steps=STEPS).images[0]
    return bool((response.as_numpy("image") == expected).all())


def _failures(record: Record, quick: bool) -> list[str]:
    """A quick run's throughput is too short to be held against its bounds."""
    kept = {
        f"triton makes {record['of_serve']} of serve": quick or record["of_serve"] >= LEAST_OF_SERVE,
        f"{CONCURRENCY} at once make {record['of_one']} of one at a time": quick or record["of_one"] >= LEAST_OF_ONE,
        "the streamed image is another one": record["same_image"],
    }
    return [failure for failure, is_kept in kept.items() if not is_kept]
