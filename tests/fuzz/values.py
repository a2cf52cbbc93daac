"""Damage to JSON values and to bytes."""

import random
from collections.abc import Iterator
from typing import Any

from .case import as_json

Json = Any

ODD_NUMBERS = (
    0, -1, 1, 2, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -(2**63), 0.5, -0.0, 1e308, 1e-308,
    5e-324, 1e300, 1e-300, 1.0, 10**9,
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "\x00", "a\x00b", "0", "-1", "1e5", "None", "null", "true", "NaN", "inf", "../../etc/passwd", "%s%n",
    "${x}", "{0.__class__}", "\ud800", "\u202e", "é" * 50, "x" * 5000, "," * 500, "ddim", "DDIMScheduler",
    "EulerDiscreteScheduler", "LCMScheduler", "v_prediction", "epsilon", "flow_prediction", "٣", "\r\nX: y", "\x1b[2J",
    "/dev/zero", "auto",
)  # fmt: skip
_BYTES = (b"\xff\xfe", b"\x80", b"\xc0\xaf", b"\x00", b"\xed\xa0\x80", b'"', b"}", b"\n", b"9" * 5000)
_DEEP = 60_000


def odd_value(generator: random.Random, depth: int = 0) -> Json:
    """Anything that JSON can say, and what Python's writer says beyond it: NaN and infinities."""
    kind = generator.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return generator.choice([None, True, False])
    if kind == 1:
        return generator.choice(ODD_NUMBERS)
    if kind in (2, 3):
        return generator.choice(ODD_TEXTS)
    if kind == 4:
        return generator.choice([float("nan"), float("inf"), float("-inf"), generator.uniform(-1e3, 1e3)])
    if kind == 5:
        return {generator.choice(ODD_TEXTS): odd_value(generator, depth + 1) for _ in range(generator.randrange(4))}
    return [odd_value(generator, depth + 1) for _ in range(generator.randrange(12))]


def near_value(generator: random.Random, value: Json) -> Json:
    """A value much like ``value``: of its type where that is possible."""
    return generator.choice([*_near(generator, value)]) if value not in ([], {}, None) else odd_value(generator)


def _near(generator: random.Random, value: Json) -> Iterator[Json]:
    match value:
        case bool():
            yield from (not value, int(value), str(value))
        case int() | float():
            yield from (-value, value + 1, value * 10**6, 0, str(value), generator.choice(ODD_NUMBERS))
            if abs(value) < 1e300:
                yield from (value - 1, value * 2, value / 3, float(value), value * 1e-17)
        case str():
            cut = generator.randrange(len(value) + 1)
            yield from (value[:cut], value + value, value.upper(), [value], generator.choice(ODD_TEXTS))
        case list():
            yield from (value[:-1], value * 2, [*value, value[0]], value[0], dict(enumerate(map(str, value))), [])
            yield from ([*value[:-1], odd_value(generator)], value * 2000)
        case dict():
            yield from ({}, [*value], dict.fromkeys(value, value), {**value, "": None})


def changed(generator: random.Random, value: Json, most: int = 3) -> Json:
    """A copy of a JSON object or list with one to ``most`` of its values, at any depth, changed or taken away."""
    copy = _copied(value)
    for _ in range(generator.randint(1, most)):
        container, key = generator.choice([*_places(copy)])
        if generator.random() < 0.15:
            del container[key]
        elif generator.random() < 0.6:
            container[key] = near_value(generator, container[key])
        else:
            container[key] = odd_value(generator)
        if not copy:
            break
    return copy


def damaged_json(generator: random.Random, value: Json) -> bytes:
    """The bytes of a JSON file: values changed, now and then the bytes as well, or something else altogether."""
    draw = generator.random()
    if draw < 0.05:
        return as_json(odd_value(generator))
    if draw < 0.10:
        return damaged_bytes(generator, as_json(value))
    if draw < 0.13:
        return _deep(generator, as_json(changed(generator, value)))
    if draw < 0.15:
        return generator.choice([as_json(value).decode().encode("utf-16"), b"\xef\xbb\xbf" + as_json(value), b""])
    return as_json(changed(generator, value))


def damaged_bytes(generator: random.Random, data: bytes) -> bytes:
    """``data`` with some bytes changed, put in, left out or doubled, or cut off."""
    broken = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        at = generator.randrange(len(broken) + 1)
        kind = generator.randrange(5)
        if kind == 0 and at < len(broken):
            broken[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            broken[at:at] = generator.choice(_BYTES)
        elif kind == 2:
            del broken[at : at + generator.randint(1, 8)]
        elif kind == 3:
            del broken[at:]
        else:
            broken[at:at] = broken[at : at + 40]
    return bytes(broken)


def _deep(generator: random.Random, data: bytes) -> bytes:
    """JSON with one value nested deeply; with as many brackets that close as open, so that only the depth is wrong."""
    opening, closing = generator.choice([(b"[", b"]"), (b'{"a":', b"}")])
    times = generator.choice([900, 5000, _DEEP])
    at = data.find(b":") + 1 or len(data)
    return data[:at] + opening * times + b"1" + closing * times + b"," + b'"a":' + data[at:]


def _copied(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _places(value: Json) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below ``value``."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
