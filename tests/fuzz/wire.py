"""Plays bytes against a real server: never a 500, and it lives on and is right."""

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.results import Record
from bench.serving.client import images_of, open_client
from bench.serving.processes import Server, ours
from bench.serving.trace import Ask
from ddim_edge.benchmark.rounds import Notify

from . import wire_cases
from .http import message_in
from .wire_cases import Bytes

AT_ONCE = 8
LIMITS = ("--max-steps", "8", "--max-body-mb", "1", "--timeout", "60")
"""What happens to be valid is made, and should not take long."""
_ANSWER_S, _CUT_OFF_S = 120.0, 0.2
_CHECK = Ask(0.0, 5, (8,), 7)


@dataclass
class Findings:
    """What was answered how often, and what must not have been."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[Record] = field(default_factory=list)

    def fault(self, why: str, index: int | None = None) -> None:
        self.faults.append({"index": index, "why": why})


def case(seed: int, index: int) -> Bytes:
    """Case ``index`` of a seed: always the same."""
    return wire_cases.draw(random.Random(f"wire:{seed}:{index}"))


def measure(indices: Sequence[int], seed: int, notify: Notify) -> Findings:
    """Send the cases ``indices`` of ``seed`` to a server in a process of its own."""
    with ours(*LIMITS, name="fuzz") as server:
        findings, unchanged = asyncio.run(_run(server, indices, seed, notify))
        alive = server.alive
        exit_code = server.stop()
        log = server.log.read_text(errors="replace")
    ends = {
        "the server ended": not alive,
        "the server does not make the same image any more": not unchanged,
        f"the server's exit code was {exit_code}": exit_code != 0,
        f"the log has answers with 500: {_logged_500(log)}": bool(_logged_500(log)),
        "the log has a traceback": "Traceback (most recent call last)" in log,
    }
    for why in (why for why, is_so in ends.items() if is_so):
        findings.fault(why)
    return findings


def _logged_500(log: str) -> Record:
    """How often the access log tells of a 500, by path: it does so, too, where nobody was left to read the answer."""
    lines = (json.loads(line) for line in log.splitlines() if line.startswith('{"time"'))
    return dict(Counter(line["path"] for line in lines if line["status"] == 500))


async def _run(server: Server, indices: Sequence[int], seed: int, notify: Notify) -> tuple[Findings, bool]:
    findings, left = Findings(), iter(indices)
    async with open_client() as client:
        before = await images_of(client, server.url, _CHECK)
        await asyncio.gather(*(_sender(server, left, seed, findings, notify) for _ in range(AT_ONCE)))
        try:
            after = await images_of(client, server.url, _CHECK)
        except Exception as error:  # whatever it was, the server is not right any more
            findings.fault(f"no image afterwards: {error}")
            return findings, False
    return findings, before[0].tobytes() == after[0].tobytes()


async def _sender(server: Server, left: Iterator[int], seed: int, findings: Findings, notify: Notify) -> None:
    for index in left:
        notify(f"wire: case {index}, {len(findings.faults)} faults")
        each = case(seed, index)
        answer = await exchange(server, each)
        findings.outcomes[str(_status(answer) or "cut off")] += 1
        why = fault(each, answer)
        if why is not None:
            findings.fault(why, index)


async def exchange(server: Server, each: Bytes) -> bytes:
    """Send the bytes and read what comes until the server closes, or for a moment where nothing need come."""
    port = int(server.address.rpartition(":")[2])
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        return f"connection refused: {error}".encode()
    answer = bytearray()
    try:
        writer.write(each.payload)
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S if each.complete else _CUT_OFF_S):
                while part := await reader.read(2**16):
                    answer += part
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return bytes(answer)


def fault(each: Bytes, answer: bytes) -> str | None:
    """What is wrong with an answer, if anything."""
    status = _status(answer)
    if status is None:
        return f"no answer: {answer[:80]!r}" if each.complete or answer else None
    if status >= 500 and status not in (503, 504):
        return f"status {status}: {answer[-300:]!r}"
    head, _, rest = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: (\d+)", head)
    body = rest[: int(length[1])] if length else rest  # bytes after the request are a second one, with its own answer
    ours = b"x-request-id" in head.lower()
    if status >= 400 and ours and not each.payload.startswith(b"HEAD") and message_in(body) is None:
        return f"status {status} without OpenAI's error object: {body[:200]!r}"
    return None


def _status(answer: bytes) -> int | None:
    """The status of the first answer that is not 100."""
    lines = (line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ") and line[9:12].isdigit())
    return next((status for line in lines if (status := int(line[9:12])) != 100), None)
