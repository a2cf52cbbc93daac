"""The jobs of ``/v1/jobs``: they continue after the connection has closed, and are kept for some time."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import Cancelled, NotFound
from ..http.error_responses import error_body, request_error_of
from ..http.image_response import ImageResponse
from ..scheduling.submission import State


@dataclass(eq=False)
class StoredJob:
    """One job; ``ended`` is the time of its end in seconds of the store's clock, None before."""

    id: str
    response: ImageResponse
    created: int
    task: asyncio.Task[None] | None = None
    ended: float | None = None
    result: dict[str, Any] | None = None
    error: Exception | None = None

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
    """Keeps ended jobs for ``keep_s`` seconds of ``clock``, at most ``keep`` of them; the oldest is deleted first."""

    def __init__(self, keep_s: float, keep: int, clock: Callable[[], float]) -> None:
        self._keep_s, self._keep, self._clock = keep_s, keep, clock
        self._jobs: dict[str, StoredJob] = {}

    def add(self, response: ImageResponse) -> StoredJob:
        """Store a job, and its result when it has ended."""
        self._expire()
        job = StoredJob(f"job-{uuid.uuid4().hex}", response, int(time.time()))
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
        try:
            job.result = await job.response.to_json()
        except Exception as error:
            job.error = error
        job.ended = self._clock()

    def _expire(self) -> None:
        ended = sorted((job for job in self._jobs.values() if job.ended is not None), key=lambda job: job.ended or 0)
        oldest = self._clock() - self._keep_s
        for position, job in enumerate(ended):
            if (job.ended or 0) <= oldest or len(ended) - position > self._keep:
                del self._jobs[job.id]
