"""The server of ``ddim-edge serve`` on a socket, in a thread of this process, and raw clients of it."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from ddim_edge.serving import server as server_module
from ddim_edge.serving.server import Server, listen

DEADLINE_S = 300.0
"""More than a busy machine takes."""


class LiveServer(Server):
    """Without signal handlers: those are set in the main thread alone."""

    port = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)


@contextlib.contextmanager
def running(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    """The server while it runs; it looks at its connections ten times a second instead of once."""
    monkeypatch.setattr(server_module, "_TICKS_A_SECOND", 1)
    monkeypatch.setattr(server_module, "_end_process_after", lambda _seconds: None)
    listener = listen("127.0.0.1", 0)
    engine = app.state.engine
    server = LiveServer(server_module._config(app, engine.settings), engine)
    server.port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], Any], seconds: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def request(method: str, path: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A request's bytes; ``length`` is the Content-Length where it differs from the body's."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_response(connection: socket.socket) -> tuple[int, Any]:
    """Status and JSON of one response with a Content-Length."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    (length,) = (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return int(head.split()[1]), json.loads(body)


def is_closed(connection: socket.socket) -> bool:
    """Wait until the server has closed the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
