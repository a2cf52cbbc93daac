"""The command that plays hostile input: a case that ends its process is found, and the table counts."""

from typing import Any

import pytest
from click.testing import CliRunner

from bench import fuzz
from bench.tables import fuzz as table
from ddim_edge.runtime.workers.parent import WorkerFailedError
from tests.fuzz import wire
from tests.fuzz.kinds import KINDS
from tests.fuzz.wire import fault
from tests.fuzz.wire_cases import Bytes

CRASHES = {13, 77}


class FakeWorker:
    """Ends at some cases."""

    def __init__(self, *_arguments: Any) -> None:
        self.ended = False

    def ready(self) -> None:
        """Nothing to wait for."""

    def stop(self) -> None:
        self.ended = True

    def ask(self, first: int, stop: int) -> dict[str, Any]:
        assert not self.ended
        if CRASHES.intersection(range(first, stop)):
            raise WorkerFailedError("its process was killed by SIGSEGV")
        return {"outcomes": {"exit 2": stop - first}, "faults": []}


def test_the_case_that_ends_a_worker_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "Worker", FakeWorker)
    found = fuzz._measure("graph", 1, range(120), lambda _text: None)
    assert found.outcomes == {"exit 2": 118, "crashed": 2}
    assert {each["index"] for each in found.faults} == CRASHES
    assert {each["why"] for each in found.faults} == {"its process was killed by SIGSEGV"}


@pytest.mark.parametrize("kind", ["recipe", "http"])
def test_a_worker_plays_what_it_is_asked(kind: str) -> None:
    with KINDS[kind].player() as play:
        response = fuzz.respond(play, {"kind": kind, "seed": 1}, {"first": 0, "stop": 3})
    assert (sum(response["outcomes"].values()), response["faults"]) == (3, [])
    assert "no answer" not in response["outcomes"]


def test_the_table_counts_what_was_done_and_what_was_refused() -> None:
    outcomes = {
        "exit 0": 1,
        "200": 2,
        "202": 3,
        "exit 2": 10,
        "404": 20,
        "307": 30,
        "exit 1": 100,
        "504": 200,
        "cut off": 300,
    }
    text = table.fuzz({"seed": 5, "kinds": {"wire": {"cases": 666, "outcomes": outcomes, "faults": [{}]}}})
    assert "| bytes on the wire | 666 | 6 | 60 | 600 | 1 |" in text


@pytest.mark.parametrize(
    ("complete", "answer", "word"),
    [
        (True, b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "status 500"),
        (True, b"", "no answer"),
        (False, b"", None),
        (True, b"HTTP/1.1 400 Bad Request\r\nX-Request-Id: a\r\n\r\noops", "without OpenAI's error object"),
        (True, b'HTTP/1.1 400 Bad Request\r\nX-Request-Id: a\r\n\r\n{"error": {"message": "n"}}', None),
        (True, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 X\r\n\r\n", "status 500"),
    ],
)
def test_what_counts_as_answered_wrongly(complete: bool, answer: bytes, word: str | None) -> None:
    found = fault(Bytes("values", b"POST / HTTP/1.1\r\n\r\n", complete), answer)
    assert found is None if word is None else word in (found or "")


def test_bytes_are_the_same_again_and_of_every_kind() -> None:
    cases = [wire.case(3, index) for index in range(400)]
    assert cases == [wire.case(3, index) for index in range(400)]
    assert {each.kind for each in cases} == {"values", "bytes", "form", "request", "http", "truncated"}
    assert all(each.payload for each in cases)


def test_one_case_is_printed_and_played() -> None:
    done = CliRunner().invoke(fuzz.main, ["picture", "--only", "17", "--seed", "1"])
    assert done.exit_code == 0
    case_line, played_line = done.output.splitlines()
    assert case_line.startswith("Case(arguments=(")
    assert played_line.startswith("Played(outcome='exit ")


def test_bytes_after_a_request_are_a_second_one_with_its_own_answer() -> None:
    error = b'{"error": {"message": "not allowed"}}'
    first = b"HTTP/1.1 405 \r\nx-request-id: 1\r\ncontent-length: %d\r\n\r\n%s" % (len(error), error)
    sent = Bytes("http", b"GET / HTTP/1.1\r\n\r\n]", False)
    assert fault(sent, first + b"HTTP/1.1 400 \r\n\r\n") is None
    assert fault(sent, first.replace(b"message", b"text")) is not None
