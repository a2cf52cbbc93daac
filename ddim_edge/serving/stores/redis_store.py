"""The jobs in Redis or Valkey: the processes of any machines answer for each other, and share them.

A job is made at least once, and answered once. It waits in the stream of its model. A process of the consumer group
takes it and renews its lease; without that, another process takes it over. The first end that is stored is the one that
counts.
"""

import json
import random
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import redis

from .client_limit import ClientLimit, refuse
from .jobs import BEAT_S, LEASE_S, MOST_ATTEMPTS, End, Order, Report, StoredJob, lost, no_such_job
from .large_values import LargeValues
from .redis_consumers import IDLE_S, remove_idle_consumers
from .redis_server import PREFIX, milliseconds, reaching

if TYPE_CHECKING:
    from redis.asyncio import Redis

_GROUP = "makers"


class RedisJobs:
    """A JobStore: a hash a job, a key for its end, a stream of waiting jobs a model, and a set of open jobs a client.

    Ended jobs expire after ``keep_s`` seconds, others after ``longest_s`` more. A stream holds at most ``most_waiting``
    jobs, running ones included.
    """

    shared = hands_out = True

    def __init__(self, client: "Redis", keep_s: float, longest_s: float, most_waiting: int, large: LargeValues) -> None:
        self._client, self._most_waiting, self._large = client, most_waiting, large
        self._keep_ms, self._longest_ms = milliseconds(keep_s), milliseconds(keep_s + longest_s)
        self._owner = uuid.uuid4().hex
        self._clean_at = 0.0
        self._entries: dict[str, tuple[str, bytes]] = {}
        """The stream and the entry of each job that this process makes."""

    async def add(self, order: Order, limit: ClientLimit) -> None:
        """Store a new job; raises QueueFull or KeyLimit if too many wait, or its client has too many."""
        with reaching():
            if await self._client.xlen(_stream(order.model)) >= self._most_waiting:
                refuse(f"{self._most_waiting} jobs are waiting for {order.model}")
            await self._client.transaction(partial(self._add, order, limit), _jobs_of(order.client))

    async def _add(self, order: Order, limit: ClientLimit, commands: Any) -> None:
        """Queue the commands for a new job; they fail, and this is called again, if its client's set has changed."""
        job, own = _job(order.id), _jobs_of(order.client)
        rows_left = await self._rows_left([member.decode() for member in await commands.smembers(own)])
        ended = [job_id for job_id, left in rows_left.items() if left is None]
        limit.check([left for left in rows_left.values() if left is not None], order.rows_left(0))
        commands.multi()
        commands.hset(job, mapping={"order": json.dumps(order.to_json()), "status": "queued", "calls": 0})
        commands.pexpire(job, self._longest_ms)
        commands.xadd(_stream(order.model), {"job": order.id})
        if ended:
            commands.srem(own, *ended)
        commands.sadd(own, order.id)
        commands.pexpire(own, self._longest_ms)

    async def _rows_left(self, job_ids: Sequence[str]) -> dict[str, int | None]:
        """The rows that jobs still need, by id; None for those that have ended."""
        async with self._client.pipeline(transaction=False) as commands:
            for job_id in job_ids:
                commands.hmget(_job(job_id), "order", "calls")
                commands.exists(_end(job_id))
            found = await commands.execute()
        return {
            job_id: None if order is None or ended else Order(**json.loads(order)).rows_left(int(calls))
            for job_id, (order, calls), ended in zip(job_ids, found[::2], found[1::2], strict=True)
        }

    async def get(self, job_id: str) -> StoredJob:
        """The job with an id; raises NotFound for an unknown or expired one."""
        with reaching():
            async with self._client.pipeline() as commands:
                commands.hmget(_job(job_id), "order", "status", "calls")
                commands.get(_end(job_id))
                (order, status, calls), end = await commands.execute()
        if order is None:
            raise no_such_job()
        now = Report(status.decode(), int(calls)) if end is None else await self._end_of(end)
        return StoredJob(Order(**json.loads(order)), now)

    async def _end_of(self, kept: bytes) -> End:
        end = await self._large.get(kept)
        if end is None:
            raise no_such_job()
        return End(**json.loads(end))

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
            await self._clean(streams)
            found = await self._passed(streams, most) or await self._waiting(streams, most)
            orders = [await self._take(stream, entry, fields) for stream, entry, fields in found]
        return [order for order in orders if order is not None]

    async def _create_group(self, stream: str) -> None:
        try:
            await self._client.xgroup_create(stream, _GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # it is there
                raise

    async def _clean(self, streams: Sequence[str]) -> None:
        """Remove the names of processes that have ended, once in IDLE_S."""
        if time.monotonic() >= self._clean_at:
            self._clean_at = time.monotonic() + IDLE_S
            for stream in streams:
                await remove_idle_consumers(self._client, stream, _GROUP)

    async def _passed(self, streams: Sequence[str], most: int) -> list[tuple[str, bytes, Any]]:
        """Entries whose process has not renewed its lease."""
        found = []
        for stream in streams:
            lease = milliseconds(LEASE_S)
            entries: Any = await self._client.xautoclaim(
                stream, _GROUP, self._owner, lease, "0-0", count=most, justid=True
            )
            found += [(stream, entry, await self._fields(stream, entry)) for entry in entries]
            most -= len(entries)
            if most <= 0:
                break
        return found

    async def _fields(self, stream: str, entry: bytes) -> Any:
        """The fields of an entry; None if somebody has removed it from the stream."""
        found: Any = await self._client.xrange(stream, entry, entry)
        return found[0][1] if found else None

    async def _waiting(self, streams: Sequence[str], most: int) -> list[tuple[str, bytes, Any]]:
        """Entries that nobody has taken."""
        wanted: Any = dict.fromkeys(streams, ">")
        count, wait_ms = most // len(streams), milliseconds(BEAT_S)
        answer: Any = await self._client.xreadgroup(_GROUP, self._owner, wanted, count=count, block=wait_ms)
        return [(stream.decode(), entry, fields) for stream, entries in answer for entry, fields in entries]

    async def _take(self, stream: str, entry: bytes, fields: Mapping[bytes, bytes] | None) -> Order | None:
        """Become the owner of a job; None for one that has ended or was removed, or that has been begun too often."""
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
        kept = await self._large.put(f"{job_id}-{self._owner}.json", json.dumps(end.to_json()).encode())
        with reaching():
            async with self._client.pipeline() as commands:
                commands.set(_end(job_id), kept, nx=True, px=self._keep_ms)
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


def _jobs_of(client: str) -> str:
    return f"{PREFIX}client:{client}"


def _stream(model: str) -> str:
    return f"{PREFIX}jobs:{model}"
