"""Who sent a request, and when it arrived."""

import hashlib
import ipaddress
from typing import NamedTuple

from fastapi import Request

from ..api_keys import ApiKey
from ..settings import Settings


class Arrival(NamedTuple):
    """The client, by its API key or its address, and the time of arrival in seconds of the engine's clock."""

    client: str
    time: float
    key: ApiKey | None = None
    """The API key, if it has a name and limits."""


def arrival_of(http: Request, settings: Settings) -> Arrival:
    """The arrival of a request; the access log's middleware has stored its time."""
    key = key_of(http)
    if key is not None:
        return Arrival(f"key {key.name}", http.state.arrived, key)
    if settings.api_key is not None:  # the security middleware has checked it
        _, _, given = http.headers.get("authorization", "").partition(" ")
        return Arrival(hashlib.sha256(given.strip().encode("utf-8", "replace")).hexdigest(), http.state.arrived)
    return Arrival(_address(http.client.host if http.client else ""), http.state.arrived)


def key_of(http: Request) -> ApiKey | None:
    """The API key of a request, if it has a name and limits: the security middleware has found it."""
    key: ApiKey | None = getattr(http.state, "api_key", None)
    return key


def _address(host: str) -> str:
    """The client's address; of IPv6 the first 64 bits, because a client has all addresses that begin with them."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a socket of another kind, or a proxy's name for the client
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
