"""The jobs of ``/v1/jobs``: they continue after the connection has closed, and are kept for some time."""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

from ..errors import Cancelled, NotFound
from ..http.access_log import log_job
from ..http.error_responses import error_body, logged_error, request_error_of
from ..http.image_response import ImageResponse
from ..scheduling.engine_thread import Clock
from ..scheduling.metrics import Metrics
from ..scheduling.submission import State


@dataclass(eq=False)
class StoredJob:
    """One job; ``ended`` is the time of its end in seconds of the store's clock, None before."""

    id: str
    response: ImageResponse
    created: int
    request_id: str
    task: asyncio.Task[None] | None = None
    ended: float | None = None
    result: dict[str, Any] | None = None
    error: Exception | None = None
    bytes: int = 0
    """Of its images, in the result."""

    @property
    def status(self) -> State:
        if self.ended is None:
            return "queued" if self.response.ticket.submission.state == "queued" else "running"
        if self.error is None:
            return "done"
        return "cancelled" if isinstance(self.error, Cancelled) else "failed"

    def describe(self) -> dict[str, Any]:
        """The job as a JSON object, without previews."""
        submission = self.response.ticket.submission
        total = submission.calls_per_image * submission.request.num_images
        return {
            "id": self.id,
            "object": "image.job",
            "model": submission.model,
            "created": self.created,
            "status": self.status,
            "progress": {"calls": submission.calls, "total": total},
            "previews": None,
            "result": self.result,
            "error": None if self.error is None else error_body(request_error_of(self.error))["error"],
        }

    async def previews(self) -> list[str]:
        """The current estimates of its running images, in base64, ordered by index."""
        estimates = sorted((await self.response.ticket.estimates()).items())
        return [(await self.response.encode(pixels, index, finished=False)).b64_json for index, pixels in estimates]


class JobStore:
    """Keeps ended jobs for ``keep_s`` seconds of ``clock``, at most ``keep`` of them, and ``keep_bytes`` bytes.

    The oldest is deleted first; the newest is always kept.
    """

    def __init__(self, keep_s: float, keep: int, keep_bytes: int, clock: Clock, metrics: Metrics) -> None:
        self._keep_s, self._keep, self._keep_bytes = keep_s, keep, keep_bytes
        self._clock, self._metrics = clock, metrics
        self._jobs: dict[str, StoredJob] = {}

    def add(self, response: ImageResponse, request_id: str) -> StoredJob:
        """Store a job, and its result when it has ended; ``request_id`` is for the log."""
        self._expire()
        job = StoredJob(f"job-{uuid.uuid4().hex}", response, int(time.time()), request_id)
        job.task = asyncio.create_task(self._follow(job))
        self._jobs[job.id] = job
        return job

    def get(self, job_id: str) -> StoredJob:
        """The job with an id; raises NotFound for an unknown or expired one."""
        self._expire()
        if job_id not in self._jobs:
            raise NotFound("there is no such job, or it has expired", param="id")
        return self._jobs[job_id]

    async def remove(self, job_id: str) -> StoredJob:
        """Cancel a running job and wait for its end; delete an ended one."""
        job = self.get(job_id)
        if job.ended is not None:
            del self._jobs[job_id]
            return job
        job.response.ticket.cancel()
        if job.task is not None:
            await asyncio.shield(job.task)
        return job

    async def _follow(self, job: StoredJob) -> None:
        start = self._clock()
        try:
            job.result = await job.response.to_json()
            job.bytes = sum(len(item.get("b64_json", "")) for item in job.result["data"])
        except Exception as error:
            job.error = error
        job.ended = self._clock()
        self._record(job, job.ended - start)
        self._expire()

    def _record(self, job: StoredJob, seconds: float) -> None:
        """Write its end to the log and the metrics."""
        reason = None
        if job.error is not None:
            reason = logged_error({"state": {"request_id": job.request_id}}, job.error).code
        log_job(job.id, job.request_id, job.status, seconds, reason)
        self._metrics.job(job.response.ticket.submission.model, job.status, reason)

    def _expire(self) -> None:
        ended = sorted((job for job in self._jobs.values() if job.ended is not None), key=lambda job: job.ended or 0)
        oldest, size = self._clock() - self._keep_s, sum(job.bytes for job in ended)
        for position, job in enumerate(ended):
            left = len(ended) - position
            if (job.ended or 0) <= oldest or (left > 1 and (left > self._keep or size > self._keep_bytes)):
                del self._jobs[job.id]
                size -= job.bytes
