"""The stores in a SQLite file: several processes of one machine answer for each other."""

import asyncio
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from sqlite3 import Connection

from .client_limit import ClientLimit
from .images import StoredImage, new_name, stored_image
from .jobs import BEAT_S, LEASE_S, MOST_ATTEMPTS, End, Order, Report, StoredJob, lost, no_such_job
from .memory import Limits
from .sqlite_file import SqliteFile

_EXPIRE = """
DELETE FROM {table} WHERE rowid IN (
    SELECT rowid FROM (
        SELECT rowid, ended, row_number() OVER newest AS place, sum(bytes) OVER newest AS size
        FROM {table} WHERE ended IS NOT NULL
        WINDOW newest AS (ORDER BY ended DESC, rowid DESC ROWS UNBOUNDED PRECEDING)
    ) WHERE ended <= ? OR (place > 1 AND (place > ? OR size > ?))
)
"""
_TAKE = """
SELECT id, work, attempts, calls FROM jobs
WHERE ended IS NULL AND lease <= ? AND model IN (SELECT value FROM json_each(?)) ORDER BY rowid LIMIT ?
"""
_OPEN = "SELECT work, calls FROM jobs WHERE ended IS NULL AND json_extract(work, '$.client') = ?"
_END = "UPDATE jobs SET status = ?, calls = ?, outcome = ?, bytes = ?, ended = ? WHERE id = ? AND ended IS NULL"


def expire(rows: Connection, table: str, limits: Limits, now: float) -> None:
    """Delete rows that have ended, as ``limits`` say."""
    rows.execute(_EXPIRE.format(table=table), (now - limits.seconds, limits.count, limits.bytes))


class SqliteImages:
    """An ImageStore in a SQLite file."""

    def __init__(self, file: SqliteFile, limits: Limits) -> None:
        self._file, self._limits = file, limits

    async def add(self, contents: bytes, suffix: str) -> str:
        """Store an image; returns the path of its URL."""
        name = new_name(suffix)

        def insert(rows: Connection) -> None:
            now = self._file.clock()
            rows.execute("INSERT INTO images VALUES (?, ?, ?, ?)", (name, contents, len(contents), now))
            expire(rows, "images", self._limits, now)

        await self._file.run(insert)
        return f"/images/{name}"

    async def get(self, name: str) -> StoredImage:
        """The image with a name; raises NotFound for an unknown or expired one."""

        def select(rows: Connection) -> bytes | None:
            values = (name, self._file.clock() - self._limits.seconds)
            found = rows.execute("SELECT contents FROM images WHERE name = ? AND ended > ?", values).fetchone()
            return None if found is None else found[0]

        return stored_image(await self._file.run(select), name)


class SqliteJobs:
    """A JobStore in a SQLite file. The process that accepted a job makes it; another does when its lease has passed."""

    shared, hands_out = True, False

    def __init__(self, file: SqliteFile, limits: Limits) -> None:
        self._file, self._limits, self._owner = file, limits, uuid.uuid4().hex

    async def add(self, order: Order, limit: ClientLimit) -> None:
        """Store a new job; raises QueueFull or KeyLimit where its client has too many."""
        work = json.dumps(order.to_json())

        def insert(rows: Connection) -> None:
            found = rows.execute(_OPEN, (order.client,))
            limit.check([Order(**json.loads(work)).rows_left(calls) for work, calls in found], order.rows_left(0))
            lease = self._file.clock() + LEASE_S
            rows.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, 1, 'queued', 0, NULL, NULL, NULL)",
                (order.id, order.model, work, self._owner, lease),
            )

        await self._file.run(insert)

    async def get(self, job_id: str) -> StoredJob:
        """The job with an id; raises NotFound for an unknown or expired one."""

        def select(rows: Connection) -> tuple[str, str, int, str | None] | None:
            oldest = self._file.clock() - self._limits.seconds
            query = "SELECT work, status, calls, outcome FROM jobs WHERE id = ? AND (ended IS NULL OR ended > ?)"
            found: tuple[str, str, int, str | None] | None = rows.execute(query, (job_id, oldest)).fetchone()
            return found

        found = await self._file.run(select)
        if found is None:
            raise no_such_job()
        work, status, calls, outcome = found
        now = Report(status, calls) if outcome is None else End(**json.loads(outcome))  # type: ignore[arg-type]
        return StoredJob(Order(**json.loads(work)), now)

    async def report(self, reports: Mapping[str, Report]) -> Collection[str]:
        """Renew the lease of jobs by id; returns the ids of those that somebody else has ended, taken or deleted."""
        query = "UPDATE jobs SET lease = ?, status = ?, calls = ? WHERE id = ? AND owner = ? AND ended IS NULL"

        def update(rows: Connection) -> list[str]:
            lease = self._file.clock() + LEASE_S
            changed = {
                job_id: rows.execute(query, (lease, now.status, now.calls, job_id, self._owner)).rowcount
                for job_id, now in reports.items()
            }
            return [job_id for job_id, count in changed.items() if count == 0]

        return await self._file.run(update)

    async def claim(self, models: Sequence[str], most: int) -> list[Order]:
        """Take jobs whose lease has passed, at most ``most``; waits BEAT_S before it looks."""
        await asyncio.sleep(BEAT_S)

        def take(rows: Connection) -> list[Order]:
            now = self._file.clock()
            found = rows.execute(_TAKE, (now, json.dumps(models), most)).fetchall()
            return [
                Order(**json.loads(work))
                for job_id, work, attempts, calls in found
                if self._take(rows, job_id, attempts, calls)
            ]

        return await self._file.run(take)

    def _take(self, rows: Connection, job_id: str, attempts: int, calls: int) -> bool:
        """Become the owner of a job; False if it has been begun too often, and has ended by that."""
        if attempts >= MOST_ATTEMPTS:
            return not self._end(rows, job_id, lost(calls))
        lease = self._file.clock() + LEASE_S
        query = "UPDATE jobs SET owner = ?, lease = ?, attempts = attempts + 1, status = 'queued' WHERE id = ?"
        rows.execute(query, (self._owner, lease, job_id))
        return True

    async def end(self, job_id: str, end: End) -> bool:
        """Store the end of a job; False if it has ended already: the first end stays."""
        return await self._file.run(lambda rows: self._end(rows, job_id, end))

    def _end(self, rows: Connection, job_id: str, end: End) -> bool:
        now, outcome = self._file.clock(), json.dumps(end.to_json())
        ended = rows.execute(_END, (end.status, end.calls, outcome, len(outcome), now, job_id)).rowcount == 1
        expire(rows, "jobs", self._limits, now)
        return ended

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended."""
        await self._file.run(lambda rows: rows.execute("DELETE FROM jobs WHERE id = ?", (job_id,)))
