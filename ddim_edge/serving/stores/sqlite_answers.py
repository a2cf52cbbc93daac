"""The store of answers in a SQLite file."""

from sqlite3 import Connection

from .answers import LEASE_S, KeptAnswer
from .memory import Limits
from .sqlite import expire
from .sqlite_file import SqliteFile

_MINE = "WHERE key = ? AND maker = ? AND ended IS NULL"


class SqliteAnswers:
    """An AnswerStore in a SQLite file."""

    def __init__(self, file: SqliteFile, limits: Limits) -> None:
        self._file, self._limits = file, limits

    async def begin(self, key: str, asked: str, maker: str) -> KeptAnswer | None:
        """What is kept under ``key``; None if there was nothing: then ``maker`` has to make the answer."""

        def select(rows: Connection) -> KeptAnswer | None:
            now = self._file.clock()
            rows.execute("DELETE FROM answers WHERE ended IS NULL AND lease <= ?", (now,))
            expire(rows, "answers", self._limits, now)
            found = rows.execute("SELECT asked, contents FROM answers WHERE key = ?", (key,)).fetchone()
            if found is None:
                values = (key, asked, maker, now + LEASE_S)
                rows.execute("INSERT INTO answers VALUES (?, ?, ?, ?, NULL, NULL, NULL)", values)
            return None if found is None else KeptAnswer(*found)

        return await self._file.run(select)

    async def renew(self, key: str, maker: str) -> None:
        """Renew the lease of an answer that is being made."""
        lease = self._file.clock() + LEASE_S
        query = f"UPDATE answers SET lease = ? {_MINE}"
        await self._file.run(lambda rows: rows.execute(query, (lease, key, maker)))

    async def end(self, key: str, maker: str, contents: bytes | None) -> None:
        """Keep an answer that ``maker`` has made; None to forget the request."""
        query, values = f"DELETE FROM answers {_MINE}", (key, maker)
        if contents is None:
            await self._file.run(lambda rows: rows.execute(query, values))
            return
        update = f"UPDATE answers SET contents = ?, bytes = ?, ended = ? {_MINE}"
        new = (contents, len(contents), self._file.clock())
        await self._file.run(lambda rows: rows.execute(update, (*new, *values)))
