"""Requests with a body: JSON and forms, whose values or bytes are damaged."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from .body_values import NEAR, OPTIONS, as_bytes, changed_body, near_option, valid_body
from .pictures import picture_bytes
from .values import damaged_bytes, odd_value

JSON_ROUTES = ("/v1/images/generations", "/v1/jobs")
FORM_ROUTES = ("/v1/images/edits", "/v1/images/variations")
TYPES = ("application/json", "application/json; charset=utf-16", "text/plain", "application/x-www-form-urlencoded",
         "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x", "image/png", "/",
         "", "application/json; charset=nonsense", "multipart/form-data; boundary=" + "b" * 300)  # fmt: skip
_BOUNDARY = "edge-of-a-part"
_FORM_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Asked:
    """A request that is whole to HTTP, so that it must be answered."""

    kind: str
    path: str
    content_type: str
    body: bytes
    method: str = "POST"
    headers: Headers = ()


def draw(generator: random.Random) -> Asked:
    """A request with a damaged body."""
    return generator.choices([json_values, json_bytes, form], [5, 2, 4])[0](generator)


def json_values(generator: random.Random) -> Asked:
    """JSON with wrong values, unknown keys, a million brackets or a hundred thousand keys."""
    valid = valid_body(generator)
    body = as_bytes(generator, valid if generator.random() < 0.1 else changed_body(generator, valid))
    if generator.random() < 0.04:
        body = generator.choice(
            [b"[" * 500_000, b'{"a":' * 900 + b"1" + b"}" * 900, _many_keys(), b"9" * 10_000, b'"\\ud800"']
        )
    return Asked("values", generator.choice(JSON_ROUTES), _type(generator, "application/json"), body)


def json_bytes(generator: random.Random) -> Asked:
    """JSON with broken bytes."""
    body = damaged_bytes(generator, json.dumps(valid_body(generator)).encode())
    return Asked("bytes", generator.choice(JSON_ROUTES), _type(generator, "application/json"), body)


def form(generator: random.Random) -> Asked:
    """A form with a picture: wrong fields, a damaged picture, or broken bytes."""
    fields = {name: str(value) for name, value in valid_body(generator).items() if name != "labels"}
    for _ in range(generator.randrange(3)):
        name = generator.choice(OPTIONS)
        fields[name] = str(near_option(generator, name) if generator.random() < NEAR else odd_value(generator))
    files = [("image", picture_bytes(generator))] if generator.random() < 0.9 else []
    if generator.random() < 0.3:
        files.append((generator.choice(["mask", "mask[]", "image", "image[]", "other"]), picture_bytes(generator)))
    body = multipart(fields, files)
    if generator.random() < 0.3:
        body = damaged_bytes(generator, body)
    return Asked("form", generator.choice(FORM_ROUTES), _type(generator, _FORM_TYPE), body)


def multipart(fields: dict[str, str], files: Sequence[tuple[str, bytes]]) -> bytes:
    """A form's body."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="'
    texts = [f'{head}{name}"\r\n\r\n{value}\r\n'.encode("utf-8", "surrogatepass") for name, value in fields.items()]
    parts = [
        f'{head}{name}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files
    ]
    return b"".join([*texts, *parts, f"--{_BOUNDARY}--\r\n".encode()])


def _type(generator: random.Random, usual: str) -> str:
    return usual if generator.random() < 0.9 else generator.choice(TYPES)


def _many_keys() -> bytes:
    return json.dumps({f"k{index}": index for index in range(50_000)}).encode()
