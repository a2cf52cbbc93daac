"""What attackers send: whole HTTP requests, as bytes."""

import io
import itertools
import json
import string
from typing import Any

import numpy as np
from PIL import Image

_BOUNDARY = "attack"
_KEY_LETTERS, _KEY_LENGTH = string.ascii_lowercase + string.digits, 5


def get(path: str) -> bytes:
    """A GET request on a connection that is then closed."""
    return head("GET", path, [])


def post_json(path: str, body: bytes | dict[str, Any]) -> bytes:
    """A POST request with a body of JSON."""
    contents = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head("POST", path, ["Content-Type: application/json", f"Content-Length: {len(contents)}"]) + contents


def post_form(path: str, picture: bytes, fields: dict[str, Any]) -> bytes:
    """A POST request with a form: ``fields``, then the file ``picture``."""
    parts = [f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}' for name in fields]
    file = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'
    before = "\r\n".join([*parts, file, ""]).encode()
    after = f"\r\n--{_BOUNDARY}--\r\n".encode()
    length = len(before) + len(picture) + len(after)
    kind = f"Content-Type: multipart/form-data; boundary={_BOUNDARY}"
    return head("POST", path, [kind, f"Content-Length: {length}"]) + before + picture + after


def head(method: str, path: str, headers: list[str]) -> bytes:
    """The head of a request, with the empty line that ends it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


def many_keys(count: int) -> bytes:
    """A JSON object with ``count`` different keys of five letters: ten bytes a key."""
    names = map("".join, itertools.islice(itertools.product(_KEY_LETTERS, repeat=_KEY_LENGTH), count))
    return b"{" + ",".join(f'"{name}":0' for name in names).encode() + b"}"


def nested(length: int) -> bytes:
    """A JSON object of ``length`` bytes whose prompt is a list in a list in a list, and so on."""
    start, end = b'{"prompt":', b"}"
    depth = (length - len(start) - len(end)) // 2
    return start + b"[" * depth + b"]" * depth + end


def photograph(side: int) -> bytes:
    """A colour JPEG of ``side`` x ``side`` pixels, with the detail of a photograph that was scaled up eight times."""
    noise = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()
