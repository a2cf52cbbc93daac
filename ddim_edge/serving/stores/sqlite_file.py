"""A SQLite file that several processes of one machine share, used in a thread of its own."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ...errors import ConfigError, shown
from ..errors import StoreFailed

SCHEMA_VERSION = 1
BUSY_S = 10.0
"""Seconds that a statement waits for another process."""
_SCHEMA = """
CREATE TABLE images (name TEXT PRIMARY KEY, contents BLOB NOT NULL, bytes INTEGER NOT NULL, ended REAL NOT NULL);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, work TEXT NOT NULL, owner TEXT NOT NULL, lease REAL NOT NULL,
    attempts INTEGER NOT NULL, status TEXT NOT NULL, calls INTEGER NOT NULL, outcome TEXT, bytes INTEGER, ended REAL
);
CREATE TABLE answers (
    key TEXT PRIMARY KEY, asked TEXT NOT NULL, maker TEXT NOT NULL, lease REAL NOT NULL,
    contents BLOB, bytes INTEGER, ended REAL
);
"""
"""Times are in Unix seconds. ``lease``: until when the maker's process counts as alive; ``ended`` is NULL before."""
T = TypeVar("T")


class SqliteFile:
    """The connection. Raises ConfigError for a file that cannot be opened, or is not of this version."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        try:
            self._connection = sqlite3.connect(file, BUSY_S, isolation_level=None, check_same_thread=False)
            if self._version() in (None, SCHEMA_VERSION):
                self._connection.execute("PRAGMA journal_mode=WAL")  # stays in the file
            self._connection.execute("PRAGMA synchronous=NORMAL")
            version = self._create()
        except sqlite3.Error as error:
            raise ConfigError(f"--store: {shown(str(file))} cannot be used as an SQLite file: {error}") from None
        if version != SCHEMA_VERSION:
            self._connection.close()
            raise ConfigError(
                f"--store: {shown(str(file))} is of version {version}, not {SCHEMA_VERSION}: name a new file"
            )
        self._executor = ThreadPoolExecutor(1, "ddim-edge-store")

    def _create(self) -> int:
        """Write the tables into an empty file; returns the version of the file."""
        with _transaction(self._connection):
            version = self._version()
            if version is None:
                for statement in _SCHEMA.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return SCHEMA_VERSION if version is None else version

    def _version(self) -> int | None:
        """The version of the file, None for an empty one."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return None if version == tables == 0 else int(version)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` in one transaction, beside the event loop. Raises StoreFailed if it fails."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with _transaction(self._connection):
                return work(self._connection)
        except sqlite3.Error as error:
            raise StoreFailed(f"the store of images and jobs cannot be used: {error}") from error

    async def close(self) -> None:
        """Close the file."""
        self._executor.shutdown()
        self._connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
