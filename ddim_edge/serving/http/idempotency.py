"""Idempotency-Key middleware: a POST that is sent again with the same key gets the answer of the first one."""

# ruff: noqa: N818 - each class is named after what happened

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import BadRequest, RequestError
from ..settings import Settings
from .arrival import arrival_of
from .error_responses import BodyRefused, error_response
from .security import route_path

_PATHS = ("/v1/images/generations", "/v1/jobs")
_MOST, _LONGEST = 1000, 255


class KeyInUse(RequestError):
    """The first request with this Idempotency-Key has not ended."""

    status, code, retry_after = 409, "idempotency_key_in_use", 1


class KeyReused(RequestError):
    """Another request has had this Idempotency-Key."""

    status, code = 422, "idempotency_key_reused"


@dataclass(eq=False)
class Answer:
    """The answer to one request, as ASGI messages; ``expires``: in seconds of the clock."""

    fingerprint: bytes
    expires: float
    messages: list[Message] = field(default_factory=list)
    ended: bool = False

    @property
    def bytes(self) -> int:
        """Of its body."""
        return sum(len(message.get("body", b"")) for message in self.messages)


class IdempotencyMiddleware:
    """Keeps answers without an error for ``keep_s`` seconds, at most ``keep_bytes`` bytes and a thousand of them.

    They are of a client and its key. The oldest is deleted first; the newest is always kept.
    """

    def __init__(self, app: ASGIApp, settings: Settings, clock: Callable[[], float]) -> None:
        self.app, self._settings, self._clock = app, settings, clock
        self._answers: OrderedDict[tuple[str, str], Answer] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or send the answer of the first one, or an error."""
        if scope["type"] != "http" or scope["method"] != "POST" or route_path(scope) not in _PATHS:
            return await self.app(scope, receive, send)
        key = Headers(scope=scope).get("idempotency-key")
        if key is None:
            return await self.app(scope, receive, send)
        try:
            body = await _read(receive)
            if body is None:
                return None
            owner = arrival_of(Request(scope), self._settings).client, _checked(key)
            answer = self._find(owner, _fingerprint(scope, body))
        except (RequestError, BodyRefused) as error:
            return await error_response(scope, error)(scope, receive, send)
        if answer.ended:
            return await _send_again(answer, send)
        return await self._pass_on(scope, _with_body(body, receive), send, owner, answer)

    def _find(self, owner: tuple[str, str], fingerprint: bytes) -> Answer:
        """The answer that is kept, or a new one that has not ended; raises KeyInUse or KeyReused."""
        self._expire()
        answer = self._answers.get(owner)
        if answer is None:
            answer = self._answers[owner] = Answer(fingerprint, self._clock() + self._settings.keep_s)
        elif answer.fingerprint != fingerprint:
            raise KeyReused("this Idempotency-Key was sent with another request: take a new one for each request")
        elif not answer.ended:
            raise KeyInUse("the first request with this Idempotency-Key has not ended: try again later")
        return answer

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, owner: tuple[str, str], answer: Answer
    ) -> None:
        """Let the application answer; an answer with an error, or that was cut off, is not kept."""

        async def keeping(message: Message) -> None:
            answer.messages.append({**message, "headers": list(message.get("headers", []))})
            await send(message)

        try:
            await self.app(scope, receive, keeping)
            last = answer.messages[-1] if answer.messages else {}
            is_whole = last.get("type") == "http.response.body" and not last.get("more_body", False)
            is_good = is_whole and answer.messages[0]["status"] < 400 and "reason" not in scope["state"]
            answer.ended = is_good
        finally:
            if not answer.ended:
                self._answers.pop(owner, None)

    def _expire(self) -> None:
        ended = [(owner, answer) for owner, answer in self._answers.items() if answer.ended]
        size = sum(answer.bytes for _, answer in ended)
        for position, (owner, answer) in enumerate(ended):
            left = len(ended) - position
            fit = left == 1 or (left <= _MOST and size <= self._settings.keep_bytes)
            if answer.expires <= self._clock() or not fit:
                del self._answers[owner]
                size -= answer.bytes


def _checked(key: str) -> str:
    if not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        message = f"Idempotency-Key must have 1 to {_LONGEST} ASCII characters"
        raise BadRequest(message, param="Idempotency-Key")
    return key


def _fingerprint(scope: Scope, body: bytes) -> bytes:
    """A hash of what was asked."""
    asked = b"\0".join((scope["path"].encode(), scope.get("query_string", b""), body))
    return hashlib.sha256(asked).digest()


async def _read(receive: Receive) -> bytes | None:
    """The whole body, None if the client has left; the middleware of bodies limits it."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _with_body(body: bytes, receive: Receive) -> Receive:
    """ASGI's receive with a body that has been read."""
    read = [body]

    async def receiving() -> Message:
        return {"type": "http.request", "body": read.pop(), "more_body": False} if read else await receive()

    return receiving


async def _send_again(answer: Answer, send: Send) -> None:
    for message in answer.messages:
        again = dict(message)
        if again["type"] == "http.response.start":
            again["headers"] = list(again["headers"])
            MutableHeaders(scope=again)["Idempotent-Replayed"] = "true"
        await send(again)
