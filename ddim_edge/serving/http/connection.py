"""A connection of the server: uvicorn's HTTP/1.1 protocol, with deadlines and a limit on how many there are.

uvicorn itself has a deadline only for idle connections between two requests.
"""

import json
import math
from asyncio import AbstractEventLoop, Transport
from typing import Any, NamedTuple

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ..errors import BadRequest, Overloaded, RequestError, RequestTimeout
from .error_responses import error_body

_UNSENT_BLOCK, _UNSENT_S = 64 * 2**10, 20.0
"""A client must read so many bytes of a response in so many seconds."""
_EVICTED_SHARE = 8
"""At the limit of connections an eighth of it is closed at once, because to find the oldest ones takes time."""


class Limits(NamedTuple):
    """The limits of connections: how many, and the seconds that a header may take."""

    connections: int
    header_s: float


class Phase(NamedTuple):
    """What a connection waits for. It ends when ``mark`` changes; it may last ``limit_s`` seconds."""

    name: str
    mark: object = None
    limit_s: float = math.inf


class Connection(H11Protocol):
    """One connection. ``sweep`` must be called about once a second; nothing is done for a single request."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._phase, self._since = limits, Phase("new"), self.loop.time()

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Accept the connection; at the limit, close the oldest ones that have no whole request, else this one."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections and not self._make_room():
            self._refuse(Overloaded("too many connections: try again later"))

    def sweep(self) -> None:
        """Close the connection if its phase has lasted too long."""
        now, phase = self.loop.time(), self._find_phase()
        if phase != self._phase:
            self._phase, self._since = phase, now
        elif now - self._since > phase.limit_s:
            self._give_up()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(BadRequest(msg))

    def _find_phase(self) -> Phase:
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            return Phase("sending", unsent // _UNSENT_BLOCK, _UNSENT_S)
        if self.conn.their_state is h11.IDLE:
            limit_s = self._limits.header_s if self.timeout_keep_alive_task is None else math.inf
            return Phase("header", (self.cycle, limit_s), limit_s)
        if self.conn.their_state is h11.SEND_BODY:
            is_answered = self.cycle.response_complete  # then the application no longer sees how slow the body is
            return Phase("body", (self.cycle, is_answered), self._limits.header_s if is_answered else math.inf)
        return Phase("request", self.cycle)

    def _give_up(self) -> None:
        if self._phase.name == "header" and self.conn.trailing_data[0]:
            seconds = self._limits.header_s
            self._refuse(RequestTimeout(f"the header took longer than this server's {seconds:g} seconds"))
        else:
            self.transport.abort()

    def _make_room(self) -> bool:
        """Close the connections that have waited longest for a request; False if all others have one."""
        others = (each for each in self.connections if isinstance(each, Connection) and each is not self)
        waiting = [each for each in others if each._find_phase().name in ("header", "body")]
        waiting.sort(key=lambda each: each._since)
        evicted = waiting[: self._limits.connections // _EVICTED_SHARE + 1]
        for each in evicted:
            self.connections.discard(each)
            each.transport.abort()
        return bool(evicted)

    def _refuse(self, error: RequestError) -> None:
        """Send an error, if no response has begun, and close the connection."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return self.transport.abort()
        body = json.dumps(error_body(error)).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
        response = h11.Response(status_code=error.status, headers=headers)
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        return None
