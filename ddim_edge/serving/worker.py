"""A process that makes the jobs of a shared store, without HTTP."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from functools import partial

from ..errors import ConfigError
from .logs import log_to_stderr
from .routes.job_runner import JobRunner
from .scheduling.async_engine import AsyncEngine
from .scheduling.catalogue import Models
from .server import EXIT_ENGINE_FAILED
from .settings import Settings
from .stores.opening import Stores, open_stores


def work(models: Models, settings: Settings, on_ready: Callable[[], None]) -> int:
    """Make jobs until SIGTERM or SIGINT; returns the exit code: 0, or 1 if the engine thread failed.

    ``on_ready`` is called when it begins to look for jobs. Running jobs may finish within ``settings.drain_s``; another
    process makes those that do not. Raises ConfigError for a store that does not hand out jobs, and what AsyncEngine
    raises.
    """
    stores = open_stores(settings, time.monotonic)
    if not stores.jobs.hands_out:
        raise ConfigError("--store: a worker needs a store that hands out jobs: redis://HOST:PORT")
    log_to_stderr(settings.log_prompts)
    return asyncio.run(_work(AsyncEngine(models, settings), stores, on_ready))


async def _work(engine: AsyncEngine, stores: Stores, on_ready: Callable[[], None]) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    engine.engine_thread.on_death = partial(_set, loop, stop)
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends the process
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    async with JobRunner(engine, stores), engine:
        on_ready()
        await stop.wait()
        is_alive = engine.engine_thread.alive
    return 0 if is_alive else EXIT_ENGINE_FAILED


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event of ``loop`` from another thread."""
    loop.call_soon_threadsafe(event.set)
