"""Jobs of ``/v1/jobs`` as data, and the protocol of a store of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from ..errors import NotFound
from ..scheduling.submission import State
from .client_limit import ClientLimit

BEAT_S = 1.0
"""Seconds between two reports of a running job: its progress, and that its process lives."""
LEASE_S = 10.0
"""Seconds without a report until another process makes the job again."""
MOST_ATTEMPTS = 5
"""How often a job is begun: one that ends its process each time would end them all."""


@dataclass(frozen=True)
class Order:
    """What a process needs to make a job; ``created`` is in Unix seconds."""

    id: str
    model: str
    body: Mapping[str, Any]
    """The JSON body of the request, with a seed."""
    request_id: str
    created: int
    base_url: str
    """Host and root path for the addresses of images."""
    total: int
    """Network calls over all images."""
    client: str = ""
    """Who asked for it, as the limits of clients count."""
    rows_per_call: int = 1
    """Most rows of one image in one network call."""

    def rows_left(self, calls: int) -> int:
        """Rows of network calls that it still needs after ``calls`` calls."""
        return (self.total - calls) * self.rows_per_call

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


@dataclass(frozen=True)
class End:
    """How a job ended: ``result`` is the response's JSON object, ``error`` that of an error without ``error``."""

    status: State
    calls: int
    result: Mapping[str, Any] | None = field(default=None, repr=False)
    error: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


@dataclass(frozen=True)
class Report:
    """Where a running job is: ``calls`` are its network calls so far."""

    status: State
    calls: int


@dataclass(frozen=True)
class StoredJob:
    """A job and where it is."""

    order: Order
    now: Report | End

    @property
    def ended(self) -> bool:
        return isinstance(self.now, End)

    def describe(self) -> dict[str, Any]:
        """The job as a JSON object, without previews."""
        end = self.now if isinstance(self.now, End) else None
        return {
            "id": self.order.id,
            "object": "image.job",
            "model": self.order.model,
            "created": self.order.created,
            "status": self.now.status,
            "progress": {"calls": self.now.calls, "total": self.order.total},
            "previews": None,
            "result": end and end.result,
            "error": end and end.error,
        }


class JobStore(Protocol):
    """Keeps jobs, and for some time those that have ended. The methods raise StoreFailed where it cannot be reached."""

    shared: bool
    """Whether other processes see it: then running jobs are reported, and jobs are claimed."""
    hands_out: bool
    """Whether a new job goes to whichever process claims it first; else to the one that accepted it."""

    async def add(self, order: Order, limit: ClientLimit) -> None:
        """Store a new job.

        A shared store counts the open jobs of ``order.client``, and raises QueueFull or KeyLimit beyond its ``limit``;
        one that hands out jobs also raises QueueFull if too many wait.
        """
        ...

    async def get(self, job_id: str) -> StoredJob:
        """The job with an id; raises NotFound for an unknown or expired one."""
        ...

    async def report(self, reports: Mapping[str, Report]) -> Collection[str]:
        """Renew the lease of jobs by id; returns the ids of those that somebody else has ended, or deleted."""
        ...

    async def claim(self, models: Sequence[str], most: int) -> list[Order]:
        """Take at most ``most`` jobs of ``models`` that no living process makes; waits up to BEAT_S for one."""
        ...

    async def end(self, job_id: str, end: End) -> bool:
        """Store the end of a job; False if it has ended already: the first end stays."""
        ...

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended."""
        ...


def no_such_job() -> NotFound:
    """The error for an unknown or expired job."""
    return NotFound("there is no such job, or it has expired", param="id")


def lost(calls: int) -> End:
    """The end of a job that was begun MOST_ATTEMPTS times, and whose process ended each time."""
    message = f"the job was begun {MOST_ATTEMPTS} times, and its process ended each time"
    return End("failed", calls, None, {"message": message, "type": "server_error", "param": None, "code": "job_lost"})
