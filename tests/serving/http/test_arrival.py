"""Who a request's client is: a key is one client, however it is written in the header."""

from typing import Any

import pytest
from fastapi import Request

from ddim_edge.serving import Settings
from ddim_edge.serving.http.arrival import arrival_of


def request_of(authorization: str = "", address: str = "10.0.0.1") -> Request:
    headers = [(b"authorization", authorization.encode())]
    scope: dict[str, Any] = {"type": "http", "headers": headers, "client": (address, 1), "state": {"arrived": 7.0}}
    return Request(scope)


@pytest.mark.parametrize("header", ["bearer abc", "BEARER abc", "Bearer   abc ", "Bearer abc\t"])
def test_a_key_is_one_client_however_it_is_written(header: str) -> None:
    settings = Settings(api_key="abc\ndef")
    client = arrival_of(request_of("Bearer abc"), settings).client
    assert arrival_of(request_of(header, "10.0.0.2"), settings).client == client
    assert arrival_of(request_of("Bearer def"), settings).client != client
    assert "abc" not in client


def test_without_a_key_an_address_is_a_client_and_of_ipv6_a_network() -> None:
    addresses = ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
    found = [arrival_of(request_of(address=address), Settings()).client for address in addresses]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert len({found[0], found[2], found[4]}) == 3
