"""The protocol of a store of answers to requests with an Idempotency-Key."""

from typing import NamedTuple, Protocol

LEASE_S = 10.0
"""Seconds without a sign of life of the process that makes an answer until another may make it."""
MOST_ANSWERS = 1000
"""How many answers the stores in memory and in SQLite keep at most."""


class KeptAnswer(NamedTuple):
    """What is kept of a request: what was asked, as a hash, and the answer, or None before its end."""

    asked: str
    contents: bytes | None


class AnswerStore(Protocol):
    """Keeps answers by a key, for some time from their end. The methods raise StoreFailed where it cannot be reached.

    ``maker`` names who makes an answer; it is another one for each request.
    """

    async def begin(self, key: str, asked: str, maker: str) -> KeptAnswer | None:
        """What is kept under ``key``; None if there was nothing: then ``maker`` has to make the answer."""
        ...

    async def renew(self, key: str, maker: str) -> None:
        """Renew the lease of an answer that is being made."""
        ...

    async def end(self, key: str, maker: str, contents: bytes | None) -> None:
        """Keep an answer that ``maker`` has made; None to forget the request, so that it can be sent again."""
        ...
