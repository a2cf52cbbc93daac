"""The server process: uvicorn, signals and the exit code."""

import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from .scheduling.async_engine import AsyncEngine

EXIT_ENGINE_FAILED = 1


class Server(uvicorn.Server):
    """A uvicorn server that drains on SIGTERM and SIGINT and stops when the engine thread fails.

    Draining: new requests are refused, running ones may finish within ``drain_s`` seconds.
    """

    def __init__(self, config: uvicorn.Config, engine: AsyncEngine) -> None:
        super().__init__(config)
        self.engine = engine
        engine.engine_thread.on_death = self._stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Replaces uvicorn's handlers: those raise the signal again at the end, and the exit code would not be 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Start draining; a second Ctrl-C stops at once."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.engine.engine_thread.start_draining()
        self._stop()

    def _stop(self) -> None:
        self.should_exit = True


def serve(app: FastAPI, listener: socket.socket) -> int:
    """Serve until a signal; returns the exit code: 0, or 1 if the engine thread failed."""
    engine: AsyncEngine = app.state.engine
    _log_to_stderr()
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(engine.settings.drain_s)),
    )
    Server(config, engine).run(sockets=[listener])
    return 0 if engine.engine_thread.alive else EXIT_ENGINE_FAILED


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; OSError if the address is in use or not one of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _log_to_stderr() -> None:
    """Log to stderr: the access log's JSON lines without a prefix, all else with level and logger name."""
    access = logging.StreamHandler()
    access.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger("ddim_edge.access").addHandler(access)
    logging.getLogger("ddim_edge.access").setLevel(logging.INFO)
    logging.getLogger("ddim_edge.access").propagate = False
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for name in (
        "uvicorn.error",
        "python_multipart",
    ):  # they warn of every malformed request, so a client could fill the log
        logging.getLogger(name).setLevel(logging.ERROR)
