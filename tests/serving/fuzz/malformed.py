"""Malformed requests as the bytes that go over the wire: request ``index`` of a seed is always the same."""

import functools
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from .mutations import NEAR, ODD_TEXTS, OPTIONS, as_bytes, broken_bytes, mutated, near_value, odd_value, valid_body

JSON_ROUTES = ("/v1/images/generations", "/v1/jobs")
FORM_ROUTES = ("/v1/images/edits", "/v1/images/variations")
OTHER_ROUTES = (
    "/", "/health", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/v1/models",
    "/v1/models/fashion-mnist", "/v1/jobs/job-0", "/v2", "/v2/health/live", "/v2/health/ready",
    "/v2/models/fashion-mnist", "/v2/models/fashion-mnist/ready", "/docs", "/v1", "/favicon.ico",
)  # fmt: skip
ROUTES = (*JSON_ROUTES, *FORM_ROUTES, *OTHER_ROUTES)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
TYPES = ("application/json", "application/json; charset=utf-16", "text/plain", "application/x-www-form-urlencoded",
         "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x", "image/png", "/",
         "", "application/json; charset=nonsense", "multipart/form-data; boundary=" + "b" * 300)  # fmt: skip
BOUNDARY = "edge-of-a-part"
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Case:
    """``complete`` requests are whole to HTTP, so that they must be answered; others may only be cut off."""

    kind: str
    payload: bytes
    complete: bool


def case(seed: int, index: int) -> Case:
    """Malformed request ``index`` of ``seed``."""
    generator = random.Random(f"{seed}:{index}")
    makers = list(_MAKERS)
    maker = generator.choices(makers, [_MAKERS[each] for each in makers])[0]
    return maker(generator)


def _wire(method: str, path: str, headers: Headers, body: bytes) -> bytes:
    own = [("Host", "127.0.0.1"), ("Connection", "close"), *headers]
    if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        own.append(("Content-Length", str(len(body))))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in own)]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def _json_type(generator: random.Random) -> Headers:
    return [("Content-Type", "application/json" if generator.random() < 0.9 else generator.choice(TYPES))]


def _json_values(generator: random.Random) -> Case:
    body = as_bytes(generator, mutated(generator, valid_body(generator)))
    path = generator.choice(JSON_ROUTES)
    return Case("values", _wire("POST", path, _json_type(generator), body), True)


def _json_bytes(generator: random.Random) -> Case:
    body = broken_bytes(generator, json.dumps(valid_body(generator)).encode())
    return Case("bytes", _wire("POST", generator.choice(JSON_ROUTES), _json_type(generator), body), True)


def _form(generator: random.Random) -> Case:
    fields = {name: str(value) for name, value in valid_body(generator).items() if name != "labels"}
    for _ in range(generator.randrange(3)):
        name = generator.choice(OPTIONS)
        fields[name] = str(near_value(generator, name) if generator.random() < NEAR else odd_value(generator))
    files = [("image", _picture(generator))] if generator.random() < 0.9 else []
    if generator.random() < 0.3:
        files.append((generator.choice(["mask", "mask[]", "image", "image[]", "other"]), _picture(generator)))
    body = multipart(fields, files)
    if generator.random() < 0.4:
        body = broken_bytes(generator, body)
    usual = f"multipart/form-data; boundary={BOUNDARY}"
    kind = usual if generator.random() < 0.9 else generator.choice(TYPES)
    return Case("form", _wire("POST", generator.choice(FORM_ROUTES), [("Content-Type", kind)], body), True)


def multipart(fields: dict[str, str], files: Sequence[tuple[str, bytes]]) -> bytes:
    """A form's body."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
    texts = [f'{head}{name}"\r\n\r\n{value}\r\n'.encode("utf-8", "surrogatepass") for name, value in fields.items()]
    parts = [
        f'{head}{name}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files
    ]
    return b"".join([*texts, *parts, f"--{BOUNDARY}--\r\n".encode()])


def _picture(generator: random.Random) -> bytes:
    """A picture, whole or broken; in a form that the server takes, or another one."""
    mode = generator.choice(["L", "RGB", "RGBA", "P", "1", "LA", "I;16"])
    form = generator.choice(["PNG", "PNG", "PNG", "TIFF", "GIF", "WEBP", "JPEG"])
    if generator.random() < 0.05:
        return _bomb(generator.choice([4001, 30_000, 2**31 - 1]))
    data = drawn(mode, form, generator.choice([(28, 28), (1, 1), (3, 90), (300, 200)]))
    return broken_bytes(generator, data) if generator.random() < 0.4 else data


def _bomb(side: int) -> bytes:
    """A small PNG that says that it is a large picture."""
    header = b"IHDR" + struct.pack(">II5B", side, side, 8, 2, 0, 0, 0)
    whole = drawn("RGB", "PNG", (28, 28))
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


@functools.cache
def drawn(mode: str, form: str, size: tuple[int, int]) -> bytes:
    """A black picture as a file; no picture where the form does not know the mode."""
    buffer = io.BytesIO()
    try:
        Image.new(mode, size).save(buffer, form)
    except (OSError, ValueError):
        return b"GIF89a"
    return buffer.getvalue()


def _odd_request(generator: random.Random) -> Case:
    path = generator.choice(ROUTES)
    for _ in range(generator.randrange(3)):
        path += generator.choice(["/", "//", "/..", "/%2e%2e", "/%00", "/%ff", "?preview=x", "?preview=true", "?a=%zz",
                                  "/" + "a" * 3000, ";x", "%", "/job-0", "?" + "&a=1" * 500, "/\xe9"])  # fmt: skip
    headers = [_header(generator) for _ in range(generator.randrange(4))]
    body = json.dumps(valid_body(generator)).encode() if generator.random() < 0.3 else b""
    # A length of the client's own making is all that leaves HTTP itself in doubt here.
    lengths = any(name.lower() in ("content-length", "transfer-encoding", "expect", "upgrade") for name, _ in headers)
    return Case("request", _wire(generator.choice(METHODS), path, headers, body), not lengths)


def _header(generator: random.Random) -> tuple[str, str]:
    odd = generator.choice(ODD_TEXTS).replace("\r\n", " ").replace("\x00", " ")
    return generator.choice(
        [("Content-Length", generator.choice(["-1", "x", "0", "99999999999", "1e3", "5, 5", "٣"])),
         ("Transfer-Encoding", generator.choice(["chunked", "gzip", "chunked, chunked"])),
         ("Content-Type", generator.choice(TYPES)), ("Host", odd), ("Origin", odd), ("Origin", "http://evil.example"),
         ("Authorization", odd), ("X-Request-Id", odd), ("Accept", odd), ("Cookie", "a=" + odd[:200]),
         ("Expect", "100-continue"), ("Upgrade", "websocket"), ("Content-Encoding", "gzip"), ("Range", "bytes=9-1"),
         ("Access-Control-Request-Method", odd), ("Host", "[::1"), ("Host", "[zz]:99999999")])  # fmt: skip


def _broken_http(generator: random.Random) -> Case:
    whole = _wire("POST", generator.choice(ROUTES), _json_type(generator), json.dumps(valid_body(generator)).encode())
    return Case("http", broken_bytes(generator, whole), False)


def _truncated(generator: random.Random) -> Case:
    whole = _form(generator) if generator.random() < 0.5 else _json_values(generator)
    return Case("truncated", whole.payload[: generator.randrange(1, len(whole.payload))], False)


_MAKERS: dict[Callable[[random.Random], Case], int] = {
    _json_values: 35, _json_bytes: 15, _form: 20, _odd_request: 15, _broken_http: 10, _truncated: 5,
}  # fmt: skip
