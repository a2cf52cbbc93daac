"""Jobs at a steady rate, and what Redis says about their ends."""

import base64
import io
import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx2
import numpy as np
import redis
from PIL import Image

from ddim_edge.arrays import Pixels

from ..serving.trace import CLASSES

_END = "ddim-edge:end:"
_LATE_S = 180.0


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

    def wait(self, count: int) -> None:
        """Wait until so many jobs have ended, or it is too late."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.times) >= count, _LATE_S)

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


class Load:
    """Posts jobs at a steady rate, to one server after the other, in a thread; until the block ends."""

    def __init__(self, addresses: Sequence[str], rate: float, steps: int) -> None:
        self._addresses, self._rate, self._steps = addresses, rate, steps
        self.posted: list[Posted] = []
        self.refused: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._post_jobs)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _post_jobs(self) -> None:
        began = time.monotonic()
        with httpx2.Client(trust_env=False, timeout=60) as client:
            for number in itertools.count():
                if self._stop.wait(max(0.0, began + number / self._rate - time.monotonic())):
                    return
                self._post(client, number)

    def _post(self, client: httpx2.Client, number: int) -> None:
        now = time.monotonic()
        body = {"labels": [number % CLASSES], "seed": number, "num_inference_steps": self._steps}
        answer = client.post(f"{self._addresses[number % len(self._addresses)]}/v1/jobs", json=body)
        if answer.status_code == 202:
            self.posted.append(Posted(answer.json()["id"], number, now))
        else:
            self.refused.append(answer.text)


def answer_of(job: Posted, address: str) -> dict[str, Any]:
    """The job as a server describes it."""
    answer: dict[str, Any] = httpx2.get(f"{address}/v1/jobs/{job.id}", timeout=60).json()
    return answer


def pixels_of(answer: dict[str, Any]) -> Pixels:
    """The image of a job that is done, uint8 (H, W)."""
    contents = base64.b64decode(answer["result"]["data"][0]["b64_json"])
    return np.asarray(Image.open(io.BytesIO(contents)))
