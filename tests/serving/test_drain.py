"""SIGTERM: the delay, the drain, and its end, on a socket."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving import server as server_module

from .gate import Gate
from .live import read_response, request, running, wait_until

PATH = "/v1/images/generations"
BODY = {"prompt": "cat", "num_inference_steps": 9, "seed": 1}


def gated(bundle: Path, **options: Any) -> tuple[FastAPI, Gate]:
    app = create_app({"tiny": bundle}, Settings(**options))
    return app, Gate(app.state.engine, "tiny")


def send(connection: socket.socket, **options: Any) -> None:
    connection.sendall(request("POST", PATH, json.dumps({**BODY, **options}).encode()))


def read_to_end(connection: socket.socket) -> str:
    return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@contextlib.contextmanager
def letting_calls_through_at_its_end(gate: Gate) -> Iterator[None]:
    try:
        yield
    finally:
        gate.let(1000)


def test_what_still_runs_at_the_end_of_the_drain_gets_its_error(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network call is running, and does not end: nobody waits for it."""
    app, gate = gated(tiny_bundle, drain_s=0.2, max_queue=100)
    with running(app, monkeypatch) as server, contextlib.ExitStack() as stack:
        stack.enter_context(letting_calls_through_at_its_end(gate))
        connections = [stack.enter_context(server.connect()) for _ in range(30)]
        for number, each in enumerate(connections):
            send(each, stream=number % 2 == 1)
        gate.wait()
        wait_until(lambda: len(app.state.engine.engine_thread._submissions) == 30)
        server.handle_exit(signal.SIGTERM, None)
        for whole in connections[::2]:
            status, body = read_response(whole)
            assert (status, body["error"]["code"]) == (503, "draining")
        for stream in connections[1::2]:
            text = read_to_end(stream)
            assert "event: error" in text
            assert '"draining"' in text


def test_what_ends_within_the_drain_is_answered(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, gate = gated(tiny_bundle)
    with running(app, monkeypatch) as server, server.connect() as runs:
        send(runs)
        gate.wait()
        server.handle_exit(signal.SIGTERM, None)
        gate.let(9)
        assert read_response(runs)[0] == 200


def test_half_an_upload_does_not_hold_the_server_up(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_ANSWER_S", 0.1)
    app, _ = gated(tiny_bundle, drain_s=0.1)
    with running(app, monkeypatch) as server, server.connect() as half:
        half.sendall(request("POST", PATH, b"{", length=100))
        wait_until(lambda: server.server_state.tasks)
        server.handle_exit(signal.SIGTERM, None)
        status, body = read_response(half)
        assert (status, body["error"]["code"]) == (503, "draining")


def test_the_delay_accepts_while_readiness_is_red(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, gate = gated(tiny_bundle, shutdown_delay_s=3600.0)
    gate.let(100)
    with running(app, monkeypatch) as server:
        server.handle_exit(signal.SIGTERM, None)
        for path, status in {"/health/ready": 503, "/v2/health/ready": 503, "/health/live": 200}.items():
            with server.connect() as probe:
                probe.sendall(request("GET", path))
                assert read_response(probe)[0] == status, path
        with server.connect() as late:
            send(late)
            assert read_response(late)[0] == 200
        server._drain_at = time.monotonic()  # the delay has passed
        wait_until(lambda: app.state.engine.engine_thread.draining)


def test_a_second_ctrl_c_stops_at_once(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, gate = gated(tiny_bundle, shutdown_delay_s=3600.0, drain_s=3600.0)
    with (
        running(app, monkeypatch) as server,
        letting_calls_through_at_its_end(gate),
        server.connect() as runs,
    ):
        send(runs)
        gate.wait()
        server.handle_exit(signal.SIGINT, None)
        server.handle_exit(signal.SIGINT, None)
        gate.let()
        status, body = read_response(runs)
        assert (status, body["error"]["code"]) == (503, "draining")


def test_the_process_ends_whatever_hangs_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(server_module, "_end_process", ended.set)
    server_module._end_process_after(0.01)
    assert ended.wait(30)
