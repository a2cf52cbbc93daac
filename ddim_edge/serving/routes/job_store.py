"""Jobs that outlive the connection that asked for them, kept for a time and up to a number."""

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
    """One job; ``ended`` is when, on the store's clock."""

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
        """The job as JSON values, but for its previews."""
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
        """What its running images look like now, in base64, in their order."""
        estimates = sorted((await self.response.ticket.estimates()).items())
        return [(await self.response.image(pixels, index, finished=False)).b64_json for index, pixels in estimates]


class JobStore:
    """Ended jobs leave after ``keep_s`` seconds of ``clock``, or when there are more than ``keep`` of them."""

    def __init__(self, keep_s: float, keep: int, clock: Callable[[], float]) -> None:
        self._keep_s, self._keep, self._clock = keep_s, keep, clock
        self._jobs: dict[str, StoredJob] = {}

    def add(self, response: ImageResponse) -> StoredJob:
        """Keep a job, and follow it to its end."""
        self._expire()
        job = StoredJob(f"job-{uuid.uuid4().hex}", response, int(time.time()))
        job.task = asyncio.create_task(self._follow(job))
        self._jobs[job.id] = job
        return job

    def get(self, job_id: str) -> StoredJob:
        """The job of an id; NotFound where there is none, or no longer."""
        self._expire()
        if job_id not in self._jobs:
            raise NotFound("there is no such job, or it is no longer kept", param="id")
        return self._jobs[job_id]

    async def remove(self, job_id: str) -> StoredJob:
        """Cancel a job that runs, and wait for its end; forget one that has ended."""
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
