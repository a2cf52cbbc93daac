"""Bytes that go over the wire: damaged bodies, odd paths and headers, broken HTTP, connections cut off."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from . import bodies
from .bodies import FORM_ROUTES, JSON_ROUTES, TYPES, Headers
from .body_values import valid_body
from .values import ODD_TEXTS, damaged_bytes

OTHER_ROUTES = (
    "/", "/health", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/v1/models",
    "/v1/models/fashion-mnist", "/v1/jobs/job-0", "/v2", "/v2/health/live", "/v2/health/ready",
    "/v2/models/fashion-mnist", "/v2/models/fashion-mnist/ready", "/v2/models/fashion-mnist/infer", "/docs", "/v1",
    "/favicon.ico",
)  # fmt: skip
ROUTES = (*JSON_ROUTES, *FORM_ROUTES, *OTHER_ROUTES)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")


@dataclass(frozen=True)
class Bytes:
    """What is sent. ``complete``: it is a whole request to HTTP, and must be answered; another may be cut off."""

    kind: str
    payload: bytes
    complete: bool


def draw(generator: random.Random) -> Bytes:
    """Bytes for one connection."""
    makers = list(_MAKERS)
    maker = generator.choices(makers, [_MAKERS[each] for each in makers])[0]
    return maker(generator)


def _wire(method: str, path: str, headers: Headers, body: bytes) -> bytes:
    own = [("Host", "127.0.0.1"), ("Connection", "close"), *headers]
    if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        own.append(("Content-Length", str(len(body))))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in own)]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def _asked(generator: random.Random) -> Bytes:
    asked = bodies.draw(generator)
    payload = _wire(asked.method, asked.path, [("Content-Type", asked.content_type)], asked.body)
    return Bytes(asked.kind, payload, True)


def _odd_request(generator: random.Random) -> Bytes:
    path = generator.choice(ROUTES)
    for _ in range(generator.randrange(3)):
        path += generator.choice(["/", "//", "/..", "/%2e%2e", "/%00", "/%ff", "?preview=x", "?preview=true", "?a=%zz",
                                  "/" + "a" * 3000, ";x", "%", "/job-0", "?" + "&a=1" * 500, "/\xe9"])  # fmt: skip
    headers = [_header(generator) for _ in range(generator.randrange(4))]
    body = json.dumps(valid_body(generator)).encode() if generator.random() < 0.3 else b""
    # A length of the client's own making is all that leaves HTTP itself in doubt here.
    lengths = any(name.lower() in ("content-length", "transfer-encoding", "expect", "upgrade") for name, _ in headers)
    return Bytes("request", _wire(generator.choice(METHODS), path, headers, body), not lengths)


def _header(generator: random.Random) -> tuple[str, str]:
    odd = generator.choice(ODD_TEXTS).replace("\r\n", " ").replace("\x00", " ")
    return generator.choice(
        [("Content-Length", generator.choice(["-1", "x", "0", "99999999999", "1e3", "5, 5", "٣"])),
         ("Transfer-Encoding", generator.choice(["chunked", "gzip", "chunked, chunked"])),
         ("Content-Type", generator.choice(TYPES)), ("Host", odd), ("Origin", odd), ("Origin", "http://evil.example"),
         ("Authorization", odd), ("X-Request-Id", odd), ("Accept", odd), ("Cookie", "a=" + odd[:200]),
         ("Expect", "100-continue"), ("Upgrade", "websocket"), ("Content-Encoding", "gzip"), ("Range", "bytes=9-1"),
         ("Access-Control-Request-Method", odd), ("Host", "[::1"), ("Host", "[zz]:99999999")])  # fmt: skip


def _broken_http(generator: random.Random) -> Bytes:
    body = json.dumps(valid_body(generator)).encode()
    whole = _wire("POST", generator.choice(ROUTES), [("Content-Type", "application/json")], body)
    return Bytes("http", damaged_bytes(generator, whole), False)


def _truncated(generator: random.Random) -> Bytes:
    whole = _asked(generator)
    return Bytes("truncated", whole.payload[: generator.randrange(1, len(whole.payload))], False)


_MAKERS: dict[Callable[[random.Random], Bytes], int] = {
    _asked: 14, _odd_request: 3, _broken_http: 2, _truncated: 1,
}  # fmt: skip
