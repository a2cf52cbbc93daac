"""Jobs in Redis while their workers are killed: each job is answered exactly once, with the image of a plain run.

Two servers that leave the jobs to others accept them, three workers make them. Every few seconds one of the workers
gets SIGKILL and is started again.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import redis

import ddim_edge
from ddim_edge.arrays import Pixels
from ddim_edge.serving.stores.jobs import LEASE_S
from tests.serving.redis_process import redis_process

from .. import results
from ..results import Record
from ..serving.batches import MAX_ROWS
from ..serving.processes import NO_BOUND, ours
from .jobs_load import Ends, Load, Posted, answer_of, pixels_of
from .worker_processes import Workers, started

WORKERS, FRONTS = 3, 2
JOBS_A_SECOND, STEPS, EACH = 3.0, 50, 4
_STREAM, _GROUP = "ddim-edge:jobs:fashion-mnist", "makers"


def measure(work: Path, quick: bool) -> Record:
    """Kill a worker 24 times, every 5 s (quick: 3 times, every 3 s); the figures and the list ``failures``."""
    os.environ["OMP_NUM_THREADS"] = "1"
    kills, every_s = (3, 3.0) if quick else (24, 5.0)
    record: Record = {"workers": WORKERS, "servers": FRONTS, "jobs_of_a_worker": EACH, "lease_s": LEASE_S}
    record |= {"jobs_a_second": JOBS_A_SECOND, "steps": STEPS, "kills": kills, "kill_every_s": every_s}
    with redis_process() as url, Ends(url) as ends, _fronts(url) as addresses:
        with started(Workers(url, WORKERS, EACH, work)) as workers:
            with Load(addresses, JOBS_A_SECOND, STEPS) as load:
                record["seconds"] = _kill(workers, kills, every_s)
            ends.wait(len(load.posted))
            answers = [answer_of(job, addresses[(job.seed + 1) % FRONTS]) for job in load.posted]
            record["exit_codes"] = workers.stop()
        record |= (
            _ended(load.posted, ends, answers)
            | {"refused": len(load.refused), "why": load.refused[:1]}
            | _in_redis(url, load.posted)
        )
    record["other_images"] = _other_images(load.posted, answers)
    return {**record, **results.environment("onnxruntime", "redis"), "failures": list(_failures(record))}


@contextlib.contextmanager
def _fronts(url: str) -> Iterator[list[str]]:
    with contextlib.ExitStack() as stack:
        options = ("--store", url, "--no-jobs", "--lazy", "--max-queue", NO_BOUND, "--max-per-client", NO_BOUND)
        servers = [stack.enter_context(ours(*map(str, options), name=f"front-{number}")) for number in range(FRONTS)]
        yield [server.address for server in servers]


def _kill(workers: Workers, kills: int, every_s: float) -> float:
    """Kill so many workers, one every so many seconds; the seconds that it took."""
    began = time.monotonic()
    for number in range(kills):
        time.sleep(max(0.0, began + (number + 1) * every_s - time.monotonic()))
        workers.kill_oldest()
    return round(time.monotonic() - began, 1)


def _ended(jobs: Sequence[Posted], ends: Ends, answers: Sequence[dict[str, Any]]) -> Record:
    """How the jobs ended, and how often Redis set the key of their end."""
    counts = [ends.counts[job.id] for job in jobs]
    seconds = sorted(ends.times[job.id] - job.time for job in jobs if job.id in ends.times)
    return {
        "jobs": len(jobs),
        "done": sum(answer.get("status") == "done" for answer in answers),
        "answered_once": counts.count(1),
        "answered_twice": sum(count > 1 for count in counts),
        "median_s": round(seconds[len(seconds) // 2], 1),
        "slowest_s": round(seconds[-1], 1),
    }


def _in_redis(url: str, jobs: Sequence[Posted]) -> Record:
    """How often the jobs were begun, and what waits in the stream after the end."""
    with redis.Redis.from_url(url) as client:
        begun: list[Any] = [client.hget(f"ddim-edge:job:{job.id}", "attempts") for job in jobs]
        begins = [int(count or 0) for count in begun]
        pending: Any = client.xpending(_STREAM, _GROUP)
        return {
            "begun_more_than_once": sum(count > 1 for count in begins),
            "most_begins": max(begins),
            "left_in_stream": client.xlen(_STREAM),
            "left_pending": pending["pending"],
            "consumers": len(client.xinfo_consumers(_STREAM, _GROUP)),
        }


def _other_images(jobs: Sequence[Posted], answers: Sequence[dict[str, Any]]) -> int:
    """How many answers differ in any pixel from the image that one process makes alone."""
    made = _plain_run(jobs)
    done = [(job, answer) for job, answer in zip(jobs, answers, strict=True) if answer.get("status") == "done"]
    return sum(not np.array_equal(pixels_of(answer), made[job.seed].squeeze()) for job, answer in done)


def _plain_run(jobs: Sequence[Posted]) -> dict[int, Pixels]:
    """The images of the jobs by seed, uint8 (H, W, C)."""
    pipeline = ddim_edge.load("fashion-mnist", provider="cpu")
    requests = (pipeline.request(labels=[job.label], seed=job.seed, num_steps=STEPS) for job in jobs)
    return {jobs[place].seed: image.image for place, image in pipeline.generate_many(requests, max_rows=MAX_ROWS)}


def _failures(record: Record) -> Iterator[str]:
    jobs = record["jobs"]
    kept = {
        f"{jobs - record['done']} of {jobs} jobs are not done": record["done"] == jobs,
        f"{jobs - record['answered_once']} of {jobs} jobs were not answered once": record["answered_once"] == jobs,
        f"{record['answered_twice']} jobs were answered twice": record["answered_twice"] == 0,
        f"{record['other_images']} images differ from those of a plain run": record["other_images"] == 0,
        f"{record['refused']} jobs were refused: {record['why']}": record["refused"] == 0,
        f"{record['left_in_stream']} jobs are left": record["left_in_stream"] == record["left_pending"] == 0,
        "no job was begun twice: the kills hit nothing": record["begun_more_than_once"] > 0,
        f"workers ended with {record['exit_codes']}": not any(record["exit_codes"]),
    }
    return (failure for failure, is_kept in kept.items() if not is_kept)
