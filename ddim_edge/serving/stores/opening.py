"""Opens the stores that ``--store`` names."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from ...errors import ConfigError
from ..scheduling.engine_thread import Clock
from ..settings import Settings
from .images import ImageStore
from .jobs import JobStore
from .memory import Limits, MemoryImages, MemoryJobs

EXPECTED = "expected memory, sqlite:FILE, redis://HOST:PORT or rediss://HOST:PORT"


class Stores(NamedTuple):
    """The store of images and that of jobs; await ``close()`` at the end."""

    images: ImageStore
    jobs: JobStore
    close: Callable[[], Awaitable[None]]


def open_stores(settings: Settings, clock: Clock) -> Stores:
    """Open the stores of ``settings.store``; ``clock`` is that of the stores in memory.

    Raises ConfigError for an unknown kind, a store that cannot be reached or is of another version, and a missing
    package.
    """
    images = Limits(settings.keep_s, settings.keep_images, settings.keep_bytes)
    jobs = Limits(settings.keep_s, settings.keep_jobs, settings.keep_bytes)
    scheme, _, rest = settings.store.partition(":")
    match scheme, rest:
        case "memory", "":
            return Stores(MemoryImages(images, clock), MemoryJobs(jobs, clock), _nothing)
        case "sqlite", str() if rest:
            return _open_sqlite(Path(rest), images, jobs)
        case _:
            raise ConfigError(f"--store: {scheme or 'an empty name'}: is no kind of store: {EXPECTED}")


def _open_sqlite(file: Path, images: Limits, jobs: Limits) -> Stores:
    from .sqlite import SqliteImages, SqliteJobs
    from .sqlite_file import SqliteFile

    opened = SqliteFile(file)
    return Stores(SqliteImages(opened, images), SqliteJobs(opened, jobs), opened.close)


async def _nothing() -> None:
    """There is nothing to close."""
