"""The attacks: each prepares what it sends, and returns what runs it against a server until the visitor's end.

The first line of a function's docstring is its description in the table.
"""

import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from . import payloads
from .decoder import BROKEN_MODEL
from .jpeg import many_scan_jpeg
from .visitor import Visitor

GENERATIONS, EDITS, JOBS = "/v1/images/generations", "/v1/images/edits", "/v1/jobs"

Run = Callable[[Visitor], Awaitable[None]]


def many_scans() -> Run:
    """Progressive JPEGs of 0.5 MB with 14,000 scans: 6 at once, every 3 s."""
    request = payloads.post_form(EDITS, many_scan_jpeg(14_000, 4000), {"num_inference_steps": 4})
    return lambda visitor: visitor.rounds(3.0, 6, lambda _: visitor.visit([request]))


def large_pictures() -> Run:
    """Legitimate uploads of 16 megapixels: 24 at once, every 8 s."""
    request = payloads.post_form(EDITS, payloads.photograph(4000), {"num_inference_steps": 4})
    return lambda visitor: visitor.rounds(8.0, 24, lambda _: visitor.visit([request]))


def many_keys() -> Run:
    """JSON bodies of 10 MB with a million keys: one every second."""
    request = payloads.post_json(GENERATIONS, payloads.many_keys(1_000_000))
    return lambda visitor: visitor.rounds(1.0, 1, lambda _: visitor.visit([request]))


def nested_json() -> Run:
    """JSON in 60,000 levels (120 kB) and in 5 million (10 MB): 4 and 1 every second."""
    small, large = (payloads.post_json(GENERATIONS, payloads.nested(length)) for length in (120_000, 10_000_000))
    return lambda visitor: visitor.rounds(1.0, 5, lambda number: visitor.visit([small if number % 5 else large]))


def half_open() -> Run:
    """Requests whose headers never end: 300 at once, a header a second each."""
    start = payloads.head("POST", GENERATIONS, []).removesuffix(b"\r\n")
    return lambda visitor: visitor.held(300, lambda: itertools.chain([start], itertools.repeat(b"X-A: b\r\n")), 1.0)


def unfinished_uploads() -> Run:
    """Forms and JSON of 10 MB that stop before the last byte: 100 at once, 0.5 MB a second each."""
    contents = b" " * 10_000_000
    requests = itertools.cycle((payloads.post_form(EDITS, contents, {}), payloads.post_json(GENERATIONS, contents)))
    return lambda visitor: visitor.held(100, lambda: _slices(memoryview(next(requests))[:-1], 250_000), 0.5)


def many_connections() -> Run:
    """Connections on which nothing is sent: 1,100 at once."""
    return lambda visitor: visitor.held(1100, lambda: ())


def slow_readers() -> Run:
    """Streams of which a byte a second is read: 4 more every second, each with four events."""
    body = {"num_inference_steps": 4, "stream": True, "partial_images": 3}
    request = payloads.post_json(GENERATIONS, body)
    return lambda visitor: visitor.rounds(1.0, 4, lambda _: visitor.visit([request], 1.0, read_slowly=True))


def long_jobs() -> Run:
    """Jobs of 10 images of 1,000 steps: 90 at once, every 8 s."""
    request = payloads.post_json(JOBS, {"n": 10, "num_inference_steps": 1000})
    return lambda visitor: visitor.rounds(8.0, 90, lambda _: visitor.visit([request]))


def torn_connections() -> Run:
    """Connections that are reset before, within or after a request: 250 every second."""
    request = payloads.post_json(GENERATIONS, {"num_inference_steps": 10, "user": "a" * 1000})
    parts = [request[:length] for length in (0, 0, 0, 30, 30, 30, 500, 500, 500, len(request))]
    return lambda visitor: visitor.rounds(1.0, 250, lambda number: visitor.tear(parts[number % len(parts)]))


def failing_decoder() -> Run:
    """Requests that fail in the decoder, every other one in its preview: 5 every second."""
    body: dict[str, Any] = {"model": BROKEN_MODEL, "num_inference_steps": 4}
    plain, previewed = (
        payloads.post_json(GENERATIONS, json.dumps(each).encode())
        for each in (body, {**body, "stream": True, "partial_images": 2})
    )
    return lambda visitor: visitor.rounds(1.0, 5, lambda number: visitor.visit([previewed if number % 2 else plain]))


def _slices(contents: memoryview, length: int) -> Iterator[memoryview]:
    return (contents[start : start + length] for start in range(0, len(contents), length))


ATTACKS: dict[str, Callable[[], Run]] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        many_scans,
        large_pictures,
        many_keys,
        nested_json,
        half_open,
        unfinished_uploads,
        many_connections,
        slow_readers,
        long_jobs,
        torn_connections,
        failing_decoder,
    )
}


def described(name: str) -> str:
    """The description of an attack, without its full stop."""
    return (ATTACKS[name].__doc__ or "").partition("\n")[0].rstrip(".")
