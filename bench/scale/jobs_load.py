"""A steady load of jobs: so many are open at once, over several servers; and what Redis says about their ends."""

import base64
import io
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2
import numpy as np
import redis
from PIL import Image

from ddim_edge.arrays import Pixels

from ..serving.trace import CLASSES

_END = "ddim-edge:end:"
_LATE_S = 120.0


class Ends:
    """How often Redis sets the key of each job's end, and when first (monotonic seconds); a context manager."""

    def __init__(self, url: str) -> None:
        self.counts: Counter[str] = Counter()
        self.times: dict[str, float] = {}
        self._changed = threading.Condition()
        self._client = redis.Redis.from_url(url)
        self._client.config_set("notify-keyspace-events", "K$")  # of a SET that changes something, alone
        self._messages = redis.client.PubSub(self._client.connection_pool, ignore_subscribe_messages=True)
        self._messages.psubscribe(**{f"__keyspace@*__:{_END}*": self._on_event})

    def wait(self, job_id: str) -> bool:
        """Wait until a job has ended; False if it is too late."""
        with self._changed:
            return self._changed.wait_for(lambda: job_id in self.times, _LATE_S)

    def _on_event(self, message: dict[str, Any]) -> None:
        job_id = message["channel"].decode().rpartition(_END)[2]
        with self._changed:
            self.counts[job_id] += 1
            self.times.setdefault(job_id, time.monotonic())
            self._changed.notify_all()

    def __enter__(self) -> Self:
        self._thread = self._messages.run_in_thread(sleep_time=0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.stop()
        self._thread.join()
        self._client.close()


@dataclass(frozen=True)
class Posted:
    """A job that a server has accepted, at a monotonic time."""

    id: str
    seed: int
    time: float

    @property
    def label(self) -> int:
        """The class of its image."""
        return self.seed % CLASSES


@dataclass
class Load:
    """Threads that post a job each, wait for its end and post the next, until the block ends and all have ended."""

    addresses: Sequence[str]
    ends: Ends
    at_once: int
    steps: int
    posted: list[Posted] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stopping: bool = False

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._post_jobs) for _ in range(self.at_once)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def _post_jobs(self) -> None:
        with httpx2.Client(trust_env=False, timeout=60) as client:
            while not self._stopping:
                job = self._post(client)
                if job is None or not self.ends.wait(job.id):
                    return

    def _post(self, client: httpx2.Client) -> Posted | None:
        with self._lock:  # the seed is the job's place in the list
            job_number, began = len(self.posted) + len(self.refused), time.monotonic()
            body = {"labels": [job_number % CLASSES], "seed": job_number, "num_inference_steps": self.steps}
            answer = client.post(f"{self.addresses[job_number % len(self.addresses)]}/v1/jobs", json=body)
            if answer.status_code != 202:
                self.refused.append(answer.text)
                return None
            job = Posted(answer.json()["id"], job_number, began)
            self.posted.append(job)
            return job


def answer_of(job: Posted, address: str) -> dict[str, Any]:
    """The job as a server describes it."""
    answer: dict[str, Any] = httpx2.get(f"{address}/v1/jobs/{job.id}", timeout=60).json()
    return answer


def pixels_of(answer: dict[str, Any]) -> Pixels:
    """The image of a job that is done, uint8 (H, W)."""
    contents = base64.b64decode(answer["result"]["data"][0]["b64_json"])
    return np.asarray(Image.open(io.BytesIO(contents)))
