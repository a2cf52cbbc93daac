"""Connections: slow clients, and many of them."""

import contextlib
import json
import socket
import time
from pathlib import Path

import pytest

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.http import connection as connection_module

from ..gate import Gate
from ..live import is_closed, read_response, request, running, wait_until

PATH = "/v1/images/generations"
CAT = json.dumps({"prompt": "cat", "num_inference_steps": 1, "seed": 1}).encode()
HEALTH = request("GET", "/health")


def test_a_slow_header_gets_408_and_a_silent_connection_nothing(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(header_timeout_s=0.2))
    with running(app, monkeypatch) as server, server.connect() as slow, server.connect() as silent:
        slow.sendall(b"GET / HTTP/1.1\r\nHo")
        status, body = read_response(slow)
        assert (status, body["error"]["code"]) == (408, "request_timeout")
        assert is_closed(slow)
        assert is_closed(silent)


def test_every_byte_does_not_start_the_time_of_the_header_again(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(header_timeout_s=0.3))
    with running(app, monkeypatch) as server, server.connect() as drips:
        drips.sendall(b"GET / HTTP/1.1\r\n")
        drips.settimeout(0.02)
        answer, end = b"", time.monotonic() + 30
        while not answer and time.monotonic() < end:
            drips.sendall(b"a: b\r\n")
            with contextlib.suppress(TimeoutError):
                answer = drips.recv(12)
        assert answer == b"HTTP/1.1 408"


def test_an_idle_connection_between_two_requests_has_no_such_deadline(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(header_timeout_s=0.2))
    with running(app, monkeypatch) as server, server.connect() as kept:
        kept.sendall(HEALTH)
        assert read_response(kept)[0] == 200
        with server.connect() as silent:
            assert is_closed(silent)  # so the deadline of a header has passed
        kept.sendall(HEALTH)
        assert read_response(kept)[0] == 200


def test_a_slow_body_gets_408(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(body_timeout_s=0.2, header_timeout_s=0.2))
    with running(app, monkeypatch) as server, server.connect() as slow:
        slow.sendall(request("POST", PATH, CAT[:5], length=len(CAT)))
        status, body = read_response(slow)
        assert (status, body["error"]["code"]) == (408, "request_timeout")
        assert is_closed(slow)


def test_a_body_that_nobody_reads_has_a_deadline(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(api_key="secret", header_timeout_s=0.2))
    with running(app, monkeypatch) as server, server.connect() as slow:
        slow.sendall(request("POST", PATH, b"{", length=100))
        assert read_response(slow)[0] == 401
        assert is_closed(slow)


def test_a_client_that_reads_nothing_is_left(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_UNSENT_S", 0.3)
    app = create_app({"tiny": tiny_bundle})
    with running(app, monkeypatch) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(request("GET", "/openapi.json") * 200)  # the answers are more than the kernel takes
        wait_until(lambda: server.server_state.connections)
        wait_until(lambda: not server.server_state.connections)


def test_half_open_connections_make_room_for_a_request(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(max_connections=16))
    with running(app, monkeypatch) as server, contextlib.ExitStack() as stack:
        half_open = [stack.enter_context(server.connect()) for _ in range(40)]
        for each in half_open[::2]:
            with contextlib.suppress(ConnectionError):
                each.sendall(request("POST", PATH, b"{", length=100))
        for _ in range(3):
            with server.connect() as honest:
                honest.sendall(request("POST", PATH, CAT))
                assert read_response(honest)[0] == 200
        assert len(server.server_state.connections) <= 16
        assert is_closed(half_open[0])


def test_one_connection_too_many_is_told_so(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app({"tiny": tiny_bundle}, Settings(max_connections=2))
    gate = Gate(app.state.engine, "tiny")
    with running(app, monkeypatch) as server, server.connect() as first, server.connect() as second:
        for each in (first, second):
            each.sendall(request("POST", PATH, CAT))
        gate.wait()
        wait_until(lambda: len(app.state.engine.engine_thread._submissions) == 2)
        with server.connect() as third:
            status, body = read_response(third)
            assert (status, body["error"]["code"]) == (503, "overloaded")
            assert is_closed(third)
        gate.let(100)
        assert [read_response(each)[0] for each in (first, second)] == [200, 200]


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\n\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"])
def test_what_is_not_http_is_refused_in_openais_shape(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    with running(create_app({"tiny": tiny_bundle}), monkeypatch) as server, server.connect() as connection:
        connection.sendall(garbage)
        status, body = read_response(connection)
        assert (status, set(body)) == (400, {"error"})


def test_garbage_behind_a_request_is_no_fault_of_ours(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app({"tiny": tiny_bundle})
    with running(app, monkeypatch) as server, server.connect() as connection:
        chunked = request("POST", PATH, b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
        connection.sendall(chunked + b"2\r\n{}\r\nno chunk\r\n")
        assert read_response(connection)[0] == 400
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_packets_are_sent_without_waiting(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(create_app({"tiny": tiny_bundle}), monkeypatch) as server, server.connect() as connection:
        connection.sendall(HEALTH)
        read_response(connection)
        (accepted,) = server.server_state.connections
        raw: socket.socket = accepted.transport.get_extra_info("socket")
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
