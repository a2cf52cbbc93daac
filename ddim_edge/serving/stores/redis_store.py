"""The stores in Redis or Valkey: the processes of any machines answer for each other, and share the jobs.

A job is made at least once, and answered once. It waits in the stream of its model. A process of the consumer group
takes it and renews its lease; without that, another process takes it over. The first end that is stored is the one that
counts.
"""

import json
import random
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import redis

from ..errors import QueueFull
from .images import StoredImage, new_name, stored_image
from .jobs import BEAT_S, LEASE_S, MOST_ATTEMPTS, End, Order, Report, StoredJob, lost, no_such_job
from .redis_server import PREFIX, milliseconds, reaching

if TYPE_CHECKING:
    from redis.asyncio import Redis

_GROUP = "makers"


class RedisImages:
    """An ImageStore of keys that expire after ``keep_s`` seconds."""

    def __init__(self, client: "Redis", keep_s: float) -> None:
        self._client, self._keep_ms = client, milliseconds(keep_s)

    async def add(self, contents: bytes, suffix: str) -> str:
        """Store an image; returns the path of its URL."""
        name = new_name(suffix)
        with reaching():
            await self._client.set(f"{PREFIX}image:{name}", contents, px=self._keep_ms)
        return f"/images/{name}"

    async def get(self, name: str) -> StoredImage:
        """The image with a name; raises NotFound for an unknown or expired one."""
        with reaching():
            contents: Any = await self._client.get(f"{PREFIX}image:{name}")
        return stored_image(contents, name)


class RedisJobs:
    """A JobStore: a hash a job, a key for its end, and a stream of waiting jobs a model.

    Ended jobs expire after ``keep_s`` seconds, others after ``longest_s`` more. A stream holds at most ``most_waiting``
    jobs, running ones included.
    """

    shared = hands_out = True

    def __init__(self, client: "Redis", keep_s: float, longest_s: float, most_waiting: int) -> None:
        self._client, self._most_waiting = client, most_waiting
        self._keep_ms, self._longest_ms = milliseconds(keep_s), milliseconds(keep_s + longest_s)
        self._owner = uuid.uuid4().hex
        self._entries: dict[str, tuple[str, bytes]] = {}
        """The stream and the entry of each job that this process makes."""

    async def add(self, order: Order) -> None:
        """Store a new job; raises QueueFull if too many wait."""
        job, stream = _job(order.id), _stream(order.model)
        with reaching():
            if await self._client.xlen(stream) >= self._most_waiting:
                raise QueueFull(f"{self._most_waiting} jobs are waiting for {order.model}: try again later")
            async with self._client.pipeline() as commands:
                commands.hset(job, mapping={"order": json.dumps(order.to_json()), "status": "queued", "calls": 0})
                commands.pexpire(job, self._longest_ms)
                commands.xadd(stream, {"job": order.id})
                await commands.execute()

    async def get(self, job_id: str) -> StoredJob:
        """The job with an id; raises NotFound for an unknown or expired one."""
        with reaching():
            async with self._client.pipeline() as commands:
                commands.hmget(_job(job_id), "order", "status", "calls")
                commands.get(_end(job_id))
                (order, status, calls), end = await commands.execute()
        if order is None:
            raise no_such_job()
        now = Report(status.decode(), int(calls)) if end is None else End(**json.loads(end))
        return StoredJob(Order(**json.loads(order)), now)

    async def report(self, reports: Mapping[str, Report]) -> Collection[str]:
        """Renew the lease of jobs by id; returns the ids of those that somebody else has ended, taken or deleted."""
        with reaching():
            async with self._client.pipeline(transaction=False) as commands:
                for job_id in reports:
                    commands.hget(_job(job_id), "owner")
                    commands.exists(_end(job_id))
                found = await commands.execute()
                mine = self._owner.encode()
                gone = {
                    job_id
                    for job_id, owner, ended in zip(reports, found[::2], found[1::2], strict=True)
                    if owner != mine or ended
                }
                for job_id in reports.keys() - gone:
                    self._renew(commands, job_id, reports[job_id])
                await commands.execute()
        return gone

    def _renew(self, commands: Any, job_id: str, now: Report) -> None:
        commands.hset(_job(job_id), mapping={"status": now.status, "calls": now.calls})
        if job_id in self._entries:
            stream, entry = self._entries[job_id]
            commands.xclaim(stream, _GROUP, self._owner, 0, [entry], justid=True)

    async def claim(self, models: Sequence[str], most: int) -> list[Order]:
        """Take at most ``most`` jobs: those whose lease has passed, else new ones; waits up to BEAT_S for one."""
        streams = [_stream(model) for model in random.sample(list(models), min(most, len(models)))]
        with reaching():
            for stream in streams:
                await self._create_group(stream)
            found = await self._passed(streams, most) or await self._waiting(streams, most)
            orders = [await self._take(stream, entry, fields) for stream, entry, fields in found]
        return [order for order in orders if order is not None]

    async def _create_group(self, stream: str) -> None:
        try:
            await self._client.xgroup_create(stream, _GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # it is there
                raise

    async def _passed(self, streams: Sequence[str], most: int) -> list[tuple[str, bytes, Any]]:
        """Entries whose process has not renewed its lease."""
        found = []
        for stream in streams:
            lease = milliseconds(LEASE_S)
            answer = await self._client.xautoclaim(stream, _GROUP, self._owner, lease, "0-0", count=most)
            found += [(stream, entry, fields) for entry, fields in answer[1]]
            most -= len(answer[1])
            if most <= 0:
                break
        return found

    async def _waiting(self, streams: Sequence[str], most: int) -> list[tuple[str, bytes, Any]]:
        """Entries that nobody has taken."""
        wanted: Any = dict.fromkeys(streams, ">")
        count, wait_ms = most // len(streams), milliseconds(BEAT_S)
        answer: Any = await self._client.xreadgroup(_GROUP, self._owner, wanted, count=count, block=wait_ms)
        return [(stream.decode(), entry, fields) for stream, entries in answer for entry, fields in entries]

    async def _take(self, stream: str, entry: bytes, fields: Mapping[bytes, bytes] | None) -> Order | None:
        """Become the owner of a job; None for one that has ended, or that has been begun too often."""
        if not fields:
            await self._forget(stream, entry)
            return None
        job_id = fields[b"job"].decode()
        async with self._client.pipeline() as commands:
            commands.hmget(_job(job_id), "order", "calls")
            commands.exists(_end(job_id))
            (order, calls), ended = await commands.execute()
        if order is None or ended:
            await self._forget(stream, entry)
            return None
        self._entries[job_id] = (stream, entry)
        attempts = await self._client.hincrby(_job(job_id), "attempts", 1)
        if attempts > MOST_ATTEMPTS:
            await self.end(job_id, lost(int(calls)))
            return None
        await self._client.hset(_job(job_id), "owner", self._owner)
        return Order(**json.loads(order))

    async def end(self, job_id: str, end: End) -> bool:
        """Store the end of a job; False if it has ended already: the first end stays."""
        with reaching():
            async with self._client.pipeline() as commands:
                commands.set(_end(job_id), json.dumps(end.to_json()), nx=True, px=self._keep_ms)
                commands.pexpire(_job(job_id), self._keep_ms)
                first, _ = await commands.execute()
            if job_id in self._entries:
                await self._forget(*self._entries[job_id])
                del self._entries[job_id]
        return bool(first)

    async def _forget(self, stream: str, entry: bytes) -> None:
        """Take an entry out of its stream."""
        async with self._client.pipeline() as commands:
            commands.xack(stream, _GROUP, entry)
            commands.xdel(stream, entry)
            await commands.execute()

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended."""
        with reaching():
            await self._client.delete(_job(job_id), _end(job_id))


def _job(job_id: str) -> str:
    return f"{PREFIX}job:{job_id}"


def _end(job_id: str) -> str:
    return f"{PREFIX}end:{job_id}"


def _stream(model: str) -> str:
    return f"{PREFIX}jobs:{model}"
