"""Opens the stores that ``--store`` names."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from ...errors import ConfigError, shown
from ...extras import install_command
from ..scheduling.engine_thread import Clock
from ..settings import Settings
from .answers import MOST_ANSWERS, AnswerStore
from .images import ImageStore
from .jobs import JobStore
from .large_values import LargeValues
from .memory import Limits, MemoryAnswers, MemoryImages, MemoryJobs

EXPECTED = "expected memory, sqlite:FILE, redis://HOST:PORT, rediss://HOST:PORT or unix:///SOCKET"


class Stores(NamedTuple):
    """The stores of images, of jobs, and of answers with an Idempotency-Key; await ``close()`` at the end."""

    images: ImageStore
    jobs: JobStore
    answers: AnswerStore
    close: Callable[[], Awaitable[None]]


def open_stores(settings: Settings, clock: Clock) -> Stores:
    """Open the stores of ``settings.store``; ``clock`` is that of the stores in memory.

    Raises ConfigError for an unknown kind, a store or folder that cannot be reached, a store of another version, and a
    missing package.
    """
    images = Limits(settings.keep_s, settings.keep_images, settings.keep_bytes)
    jobs = Limits(settings.keep_s, settings.keep_jobs, settings.keep_bytes)
    stores = _open(settings, images, jobs, clock)
    if settings.store_images is not None and not stores.jobs.hands_out:
        raise ConfigError("--store-images: only a store at redis:// keeps images elsewhere")
    if not (settings.make_jobs or stores.jobs.hands_out):
        raise ConfigError("--no-jobs: only a store at redis:// hands out jobs to others")
    return stores


def _open(settings: Settings, images: Limits, jobs: Limits, clock: Clock) -> Stores:
    scheme, _, rest = settings.store.partition(":")
    match scheme, rest:
        case "memory", "":
            kept = MemoryAnswers(_answer_limits(settings), clock)
            return Stores(MemoryImages(images, clock), MemoryJobs(jobs, clock), kept, _nothing)
        case "sqlite", str() if rest:
            return _open_sqlite(Path(rest), images, jobs, _answer_limits(settings))
        case "redis" | "rediss" | "unix", _:
            return _open_redis(settings)
        case _:
            raise ConfigError(f"--store: {shown(settings.store)} is no store: {EXPECTED}")


def _answer_limits(settings: Settings) -> Limits:
    return Limits(settings.keep_s, MOST_ANSWERS, settings.keep_bytes)


def _open_sqlite(file: Path, images: Limits, jobs: Limits, answers: Limits) -> Stores:
    from .sqlite import SqliteImages, SqliteJobs
    from .sqlite_answers import SqliteAnswers
    from .sqlite_file import SqliteFile

    opened = SqliteFile(file)
    kept = SqliteAnswers(opened, answers)
    return Stores(SqliteImages(opened, images), SqliteJobs(opened, jobs), kept, opened.close)


def _open_redis(settings: Settings) -> Stores:
    try:
        from .redis_answers import RedisAnswers
        from .redis_images import RedisImages
        from .redis_server import connect
        from .redis_store import RedisJobs
    except ModuleNotFoundError as error:
        raise ConfigError(f"--store redis:// needs {error.name}: {install_command('redis')}") from None
    client, large = connect(settings.store), LargeValues(settings.store_images)
    jobs = RedisJobs(client, settings.keep_s, settings.job_timeout_s, settings.max_queue, large)
    answers = RedisAnswers(client, settings.keep_s)
    return Stores(RedisImages(client, settings.keep_s, large), jobs, answers, client.aclose)


async def _nothing() -> None:
    """There is nothing to close."""
