"""Who a client is."""

import pytest
from fastapi import Request

from ddim_edge.serving import Settings
from ddim_edge.serving.http.arrival import arrival_of


def client(host: str | None, key: str = "", **options: str) -> str:
    scope = {
        "type": "http",
        "headers": [(b"authorization", key.encode())],
        "client": None if host is None else (host, 1),
        "state": {"arrived": 5.0},
    }
    arrival = arrival_of(Request(scope), Settings(**options))  # type: ignore[arg-type]
    assert arrival.time == 5
    return arrival.client


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        (None, "proxy", False),
    ],
)
def test_an_address(one: str | None, other: str | None, same: bool) -> None:
    assert (client(one) == client(other)) is same
    assert client(one, "Bearer invented") == client(one)  # where no key is needed, it says nothing


def test_a_key() -> None:
    first, second = (client("10.0.0.1", f"Bearer {key}", api_key="a\nb") for key in "ab")
    assert first != second
    for same in ("Bearer a", "BEARER a", "Bearer   a "):
        assert client("10.0.0.2", same, api_key="a\nb") == first
