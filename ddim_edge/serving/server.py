"""The server process: uvicorn, signals and the exit code."""

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from .accepting import ACCEPTED_AT_ONCE, QuietAccepting, most_connections
from .http.connection import Connection, Limits
from .logs import log_to_stderr
from .scheduling.async_engine import AsyncEngine
from .settings import Settings

LOG = logging.getLogger("ddim_edge.serving")
EXIT_ENGINE_FAILED = 1
EXIT_STUCK = 1
_BACKLOG = 2048
_ANSWER_S = 4.0
"""Seconds from the end of the drain, when the engine ends what runs, until uvicorn cancels what is not answered."""
_STUCK_S = 10.0
"""Seconds from the end of the drain until the process ends in any case."""
_TICKS_A_SECOND = 10
SWITCH_S = 0.001
"""Python's switch interval. The engine's thread waits so long for the event loop's, once or twice a step: at the usual
5 ms, a hundred requests at once would double the time of an image."""


class Server(uvicorn.Server):
    """A uvicorn server that drains on SIGTERM and SIGINT and stops when the engine thread fails.

    SIGHUP: the file of API keys is read again, if there is one.

    Draining: new requests are refused, running ones may finish within ``drain_s`` seconds. It starts
    ``shutdown_delay_s`` seconds after the signal.
    """

    def __init__(
        self, config: uvicorn.Config, engine: AsyncEngine, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(config)
        self.engine, self._on_ready, self._drain_at, self._reload = engine, on_ready, math.inf, False
        engine.engine_thread.on_death = self._stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Replaces uvicorn's handlers: those raise the signal again at the end, and the exit code would not be 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        if self.engine.settings.api_keys is not None and sys.platform != "win32":
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self.handle_reload)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Stop after the delay; a second Ctrl-C stops at once."""
        if not self.engine.leaving:
            settings = self.engine.settings
            self.engine.leaving = True
            self._drain_at = time.monotonic() + settings.shutdown_delay_s
            _end_process_after(settings.shutdown_delay_s + settings.drain_s + _STUCK_S)
        elif sig == signal.SIGINT:
            self.force_exit = True
            self._drain_at = 0
            self.engine.engine_thread.abort()
            _end_process_after(_STUCK_S)
        if time.monotonic() >= self._drain_at:
            self._drain()

    def handle_reload(self, _signal: int, _frame: FrameType | None) -> None:
        """Read the API keys again at the next tick: a signal handler must not log."""
        self._reload = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, few at a time, so that there are never many more than their limit."""
        asyncio.get_running_loop().set_exception_handler(QuietAccepting())
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_BACKLOG)  # uvicorn's backlog is also how many connections asyncio accepts at a time
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second: close late connections, start the drain; True to stop."""
        if counter % _TICKS_A_SECOND == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.sweep()
        if self._reload and self.engine.settings.api_keys is not None:
            self._reload = False
            self.engine.settings.api_keys.reload()
        if time.monotonic() >= self._drain_at:
            self._drain()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the engine while uvicorn waits: it ends what still runs before uvicorn would cancel it unanswered."""
        closing = asyncio.ensure_future(self.engine.aclose())
        await super().shutdown(sockets)
        await closing
        if self.force_exit:  # uvicorn has left it out
            await self.lifespan.shutdown()

    def _drain(self) -> None:
        self.engine.engine_thread.start_draining()
        self._stop()

    def _stop(self) -> None:
        self.should_exit = True


def serve(
    app: FastAPI,
    listener: socket.socket,
    *,
    accepted_at_once: int = ACCEPTED_AT_ONCE,
    on_ready: Callable[[], None] = lambda: None,
) -> int:
    """Serve until a signal; returns the exit code: 0, or 1 if the engine thread failed.

    ``accepted_at_once``: how many connections are taken from the socket at a time, 1 where other processes take some,
    too. ``on_ready`` is called when connections are accepted.

    After a signal, the process itself ends some seconds after the drain, whatever hangs in it.
    """
    engine: AsyncEngine = app.state.engine
    log_to_stderr(engine.settings.log_prompts)
    sys.setswitchinterval(SWITCH_S)
    Server(_config(app, engine.settings, accepted_at_once), engine, on_ready).run(sockets=[listener])
    return 0 if engine.engine_thread.alive else EXIT_ENGINE_FAILED


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; OSError if the address is in use or not one of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY: else the second packet of a response waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: FastAPI, settings: Settings, accepted_at_once: int = ACCEPTED_AT_ONCE) -> uvicorn.Config:
    limits = Limits(most_connections(settings.max_connections), settings.header_timeout_s)
    return uvicorn.Config(
        app,
        http=partial(Connection, limits=limits),  # type: ignore[arg-type]
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=accepted_at_once,
        root_path=settings.root_path,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=math.ceil(settings.drain_s + _ANSWER_S),
    )


def _end_process_after(seconds: float) -> None:
    watchdog = threading.Timer(seconds, _end_process)
    watchdog.daemon = True
    watchdog.start()


def _end_process() -> None:
    LOG.error("the server did not stop in time: it ends now")
    os._exit(EXIT_STUCK)
