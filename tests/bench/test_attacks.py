"""The attacks on the server: what they send, how their ends are counted, and what breaks a promise."""

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

import ddim_edge
from bench.serving.__main__ import attack_command
from bench.serving.attack import attacks, measure, payloads
from bench.serving.attack.decoder import write_broken_model
from bench.serving.attack.jpeg import many_scan_jpeg
from bench.serving.attack.verdict import broken_promises, percentiles
from bench.serving.attack.visitor import Visitor
from bench.serving.client import BROKEN, Outcome
from bench.serving.processes import Server, free_port
from bench.serving.trace import Ask
from bench.tables import serving as tables
from ddim_edge.generation.pipeline import load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it needs /proc and a second loopback address")

MOST_BODY = 10 * 2**20
"""The server's own limit: a larger body would only show that it is refused."""


def test_a_jpeg_has_its_scans_and_is_small() -> None:
    file = many_scan_jpeg(14_000, 4000)
    assert file.count(b"\xff\xda") == 14_001  # 0xFF within a scan is followed by 0
    assert len(file) < 600_000


def test_a_jpeg_of_many_scans_is_decoded_by_pillow() -> None:
    with Image.open(io.BytesIO(many_scan_jpeg(30, 64))) as picture:
        picture.load()
        assert (picture.format, picture.size, picture.info["progressive"]) == ("JPEG", (64, 64), 1)


def test_a_photograph_is_as_large_as_it_says() -> None:
    with Image.open(io.BytesIO(payloads.photograph(400))) as picture:
        assert (picture.mode, picture.size) == ("RGB", (400, 400))


def test_many_keys_are_different_and_of_ten_bytes() -> None:
    body = payloads.many_keys(5000)
    assert len(json.loads(body)) == 5000
    assert len(body) == 50_001


def test_nested_json_has_its_length_and_depth() -> None:
    body = payloads.nested(1001)
    assert len(body) == 1001
    value, depth = json.loads(body)["prompt"], 1
    while value:
        (value,), depth = value, depth + 1
    assert depth == 495


@pytest.mark.parametrize(
    "request_bytes",
    [payloads.post_form("/a", bytes(1000), {"n": 1, "size": "8x8"}), payloads.post_json("/a", {"n": 1})],
)
def test_a_request_says_the_length_of_its_body(request_bytes: bytes) -> None:
    head, _, body = request_bytes.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")


def test_a_form_holds_its_fields_and_the_picture() -> None:
    *_, fields, file, end = payloads.post_form("/a", b"PICTURE", {"n": 3}).split(b"--attack")
    assert fields.endswith(b'name="n"\r\n\r\n3\r\n')
    assert file.endswith(b"\r\n\r\nPICTURE\r\n")
    assert end == b"--\r\n"


async def visits(answer: bytes | None, run: attacks.Run, seconds: float) -> dict[str, int]:
    """What an attack gets from a server that closes after ``answer``, or says nothing and stays."""
    stop = asyncio.Event()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await stop.wait()
        else:
            await reader.read(1)
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        visitor = Visitor(port, asyncio.get_running_loop().time() + seconds)
        await run(visitor)
        stop.set()
    return dict(visitor.got)


@pytest.mark.parametrize(
    ("answer", "ended"),
    [(b"HTTP/1.1 429 Too Many Requests\r\n\r\n", "429"), (b"", "closed"), (None, "open to the end")],
)
def test_the_ends_of_connections_are_counted(answer: bytes | None, ended: str) -> None:
    got = asyncio.run(visits(answer, lambda visitor: visitor.visit([b"a"]), 0.5))
    assert got == {ended: 1}


def test_a_port_without_a_server_refuses() -> None:
    async def run() -> Visitor:
        visitor = Visitor(1, asyncio.get_running_loop().time() + 5)
        await visitor.visit([b"a"])
        return visitor

    assert asyncio.run(run()).got == {"refused": 1}


@pytest.mark.parametrize(
    ("name", "connections"), [("long-jobs", 90), ("torn-connections", 250), ("failing-decoder", 5)]
)
def test_an_attack_opens_the_connections_that_it_says(name: str, connections: int) -> None:
    got = asyncio.run(visits(b"HTTP/1.1 503 No\r\n\r\n", attacks.ATTACKS[name](), 0.9))
    assert sum(got.values()) == connections
    assert set(got) <= {"torn", "503", "reset", "not connected in time"}  # the last one where this machine is very slow
    assert str(connections) in attacks.described(name)


def test_the_largest_bodies_are_within_the_servers_limit() -> None:
    assert len(payloads.many_keys(1_000_000)) < MOST_BODY


def test_the_decoder_of_the_broken_model_fails_in_both_ways(tmp_path: Path) -> None:
    pipeline = load(write_broken_model(tmp_path / "broken"), "cpu")
    errors = set[str]()
    for seed in range(8):
        with pytest.raises(ddim_edge.DdimEdgeError) as error:
            pipeline.generate(seed=seed, num_steps=2)
        errors.add("NaN" if "NaN" in str(error.value) else "error")
    assert errors == {"NaN", "error"}


def outcome(seconds: float, status: int = 200) -> Outcome:
    return Outcome(Ask(0.0, 20, (0,), 0), 0.0, 0.0, seconds, status)


def test_a_lost_request_counts_as_the_slowest() -> None:
    assert percentiles([outcome(0.1)] * 20)["p95"] == 0.1
    assert percentiles([*[outcome(0.1)] * 4, outcome(0.01, BROKEN)])["p95"] > 20


ROW: dict[str, Any] = {
    "what": "Nothing: once",
    "alone": {"requests": 12, "p50": 0.1, "p95": 0.2},
    "attacked": {"requests": 24, "p50": 0.1, "p95": 0.6},
    "lost": 0,
    "memory_mib": [100, 900, 150],
    "open_files": [10, 12],
    "healthy": True,
    "got": {"429": 6},
    "late_s": 0.2,
    "stop_s": 1.0,
    "exit_code": 0,
    "log_mib": 0.1,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"attacked": {"p95": 0.61}}, ["slow"]),
        ({"lost": 1}, ["requests lost"]),
        ({"healthy": False}, ["not healthy afterwards"]),
        ({"memory_mib": [100, 900, 300]}, ["not recovered (100 to 300 MiB, 10 to 12 open files)"]),
        ({"open_files": [10, 40]}, ["not recovered (100 to 150 MiB, 10 to 40 open files)"]),
        ({"exit_code": -9}, ["ended 1.0 s after SIGTERM with exit code -9"]),
        ({"stop_s": 60.0}, ["ended 60.0 s after SIGTERM with exit code 0"]),
        ({"log_mib": 20.0}, ["wrote 20 MiB to the log"]),
        ({"late_s": 6.0}, ["the attacker was 6 s late: measure again on a quiet machine"]),
    ],
)
def test_what_breaks_the_promise(change: dict[str, Any], words: list[str]) -> None:
    assert broken_promises({**ROW, **change}) == words


def test_a_table_has_a_row_for_each_attack() -> None:
    rows = {"good": {**ROW, "broken": []}, "bad": {**ROW, "broken": ["slow", "requests lost"]}}
    *_, good, bad = tables.attack({"rows": rows}).splitlines()
    assert good == "| Nothing: once | 0.10 / 0.20 | 0.10 / 0.60 | 3.00 | 0 of 24 | 100 / 900 / 150 | 6 429 | kept |"
    assert bad.endswith("| slow; requests lost |")


@pytest.mark.parametrize(("broken", "code"), [([], 0), (["slow"], 1)])
def test_the_command_says_whether_the_promise_is_kept(
    broken: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def measured(only: str | None, _notify: object) -> dict[str, Any]:
        asked.append(only)
        return {"rows": {"torn-connections": {**ROW, "broken": broken}}}

    monkeypatch.setattr(measure, "measure", measured)
    assert CliRunner().invoke(attack_command, ["--only", "torn-connections"]).exit_code == code
    assert asked == ["torn-connections"]
    assert CliRunner().invoke(attack_command, ["--only", "nonsense"]).exit_code == 2


HEALTHY = """
import http.server, subprocess, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


def test_a_server_is_limited_in_files_and_measured_with_what_it_started() -> None:
    port = free_port()
    with Server("test-attack", ["-c", HEALTHY, str(port)], "/", port, open_files=64) as server:
        assert "Max open files            64" in Path(f"/proc/{server.pid}/limits").read_text()
        assert 3 < server.open_files() < 64
        assert server.tree_rss_kib() > server.rss_kib() > 1000
    assert not server.alive
    assert (server.tree_rss_kib(), server.open_files()) == (0, 0)
