"""The stores in the memory of one process."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..scheduling.engine_thread import Clock
from .answers import KeptAnswer
from .client_limit import ClientLimit
from .images import StoredImage, new_name, stored_image
from .jobs import End, Order, Report, StoredJob, no_such_job

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What is kept: for ``seconds``, at most ``count``, and ``bytes``. The oldest is deleted first.

    The newest is always kept.
    """

    seconds: float
    count: int
    bytes: int


class MemoryImages:
    """An ImageStore in memory; ``clock`` is in seconds."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._images = _Kept[bytes](limits, clock)

    async def add(self, contents: bytes, suffix: str) -> str:
        """Store an image; returns the path of its URL."""
        name = new_name(suffix)
        self._images.add(name, contents, len(contents))
        return f"/images/{name}"

    async def get(self, name: str) -> StoredImage:
        """The image with a name; raises NotFound for an unknown or expired one."""
        return stored_image(self._images.get(name), name)


class MemoryJobs:
    """A JobStore in memory; ``clock`` is in seconds."""

    shared = hands_out = False

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._running: dict[str, Order] = {}
        self._ended = _Kept[StoredJob](limits, clock)

    async def add(self, order: Order, limit: ClientLimit) -> None:  # noqa: ARG002
        """Store a new job. The engine counts those of a client."""
        self._running[order.id] = order

    async def get(self, job_id: str) -> StoredJob:
        """The job with an id; raises NotFound for an unknown or expired one."""
        if job_id in self._running:
            return StoredJob(self._running[job_id], Report("queued", 0))
        ended = self._ended.get(job_id)
        if ended is None:
            raise no_such_job()
        return ended

    async def report(self, reports: Mapping[str, Report]) -> Collection[str]:  # noqa: ARG002
        """Nothing: no other process ends its jobs."""
        return ()

    async def claim(self, models: Sequence[str], most: int) -> list[Order]:  # noqa: ARG002
        """Nothing: there is no other process."""
        return []

    async def end(self, job_id: str, end: End) -> bool:
        """Store the end of a job; False if it has ended already."""
        order = self._running.pop(job_id, None)
        if order is None:
            return False
        size = 0 if end.result is None else sum(len(item.get("b64_json", "")) for item in end.result["data"])
        self._ended.add(job_id, StoredJob(order, end), size)
        return True

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended."""
        self._ended.remove(job_id)


class MemoryAnswers:
    """An AnswerStore in memory; ``clock`` is in seconds."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._running: dict[str, str] = {}
        """What was asked, by key."""
        self._ended = _Kept[KeptAnswer](limits, clock)

    async def begin(self, key: str, asked: str, maker: str) -> KeptAnswer | None:  # noqa: ARG002
        """What is kept under ``key``; None if there was nothing: then ``maker`` has to make the answer."""
        if key in self._running:
            return KeptAnswer(self._running[key], None)
        kept = self._ended.get(key)
        if kept is None:
            self._running[key] = asked
        return kept

    async def renew(self, key: str, maker: str) -> None:
        """Nothing: this process makes it."""

    async def end(self, key: str, maker: str, contents: bytes | None) -> None:  # noqa: ARG002
        """Keep an answer that ``maker`` has made; None to forget the request."""
        asked = self._running.pop(key, None)
        if asked is not None and contents is not None:
            self._ended.add(key, KeptAnswer(asked, contents), len(contents))


class _Kept(Generic[T]):
    """Things by name, oldest first, within limits."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits, self._clock, self._bytes = limits, clock, 0
        self._things: OrderedDict[str, tuple[T, int, float]] = OrderedDict()

    def add(self, name: str, thing: T, size: int) -> None:
        self._things[name] = (thing, size, self._clock() + self._limits.seconds)
        self._bytes += size
        self._expire()

    def get(self, name: str) -> T | None:
        self._expire()
        return self._things[name][0] if name in self._things else None

    def remove(self, name: str) -> None:
        if name in self._things:
            self._bytes -= self._things.pop(name)[1]

    def _expire(self) -> None:
        while self._things:
            name, (_, _, expires) = next(iter(self._things.items()))
            count = len(self._things)
            fit = count == 1 or (count <= self._limits.count and self._bytes <= self._limits.bytes)
            if expires > self._clock() and fit:
                return
            self.remove(name)
