"""Idempotency-Key middleware: a POST that is sent again with the same key gets the answer of the first one."""

# ruff: noqa: N818 - each class is named after what happened

import asyncio
import contextlib
import hashlib
import json
import logging
import uuid

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import BadRequest, RequestError, StoreFailed
from ..settings import Settings
from ..stores.answers import LEASE_S, AnswerStore
from .arrival import arrival_of
from .error_responses import BodyRefused, error_response
from .paths import route_path

LOG = logging.getLogger("ddim_edge.serving")
_PATHS = ("/v1/images/generations", "/v1/jobs")
_LONGEST = 255


class KeyInUse(RequestError):
    """The first request with this Idempotency-Key has not ended."""

    status, code, retry_after = 409, "idempotency_key_in_use", 1


class KeyReused(RequestError):
    """Another request has had this Idempotency-Key."""

    status, code = 422, "idempotency_key_reused"


class Answer:
    """The answer to one request, as it is sent."""

    def __init__(self) -> None:
        self._start: Message = {}
        self._body: list[bytes] = []
        self.is_whole = False

    def add(self, message: Message) -> None:
        """Add a message of ASGI."""
        if message["type"] == "http.response.start":
            self._start = {**message, "headers": list(message.get("headers", []))}
        else:
            self._body.append(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)

    @property
    def status(self) -> int:
        return int(self._start["status"])

    def to_bytes(self) -> bytes:
        """Status and headers as JSON in one line, then the body."""
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self._start["headers"]]
        return b"\n".join((json.dumps({"status": self.status, "headers": headers}).encode(), b"".join(self._body)))


class IdempotencyMiddleware:
    """Keeps answers without an error in a store, where all processes that share it find them.

    They are of a client and its key.
    """

    def __init__(self, app: ASGIApp, settings: Settings, answers: AnswerStore) -> None:
        self.app, self._settings, self._answers = app, settings, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or send the answer of the first one, or an error."""
        if scope["type"] != "http" or scope["method"] != "POST" or route_path(scope) not in _PATHS:
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("idempotency-key")
        if given is None:
            return await self.app(scope, receive, send)
        maker = uuid.uuid4().hex
        try:
            body = await _read(receive)
            if body is None:
                return None
            key = _hash(arrival_of(Request(scope), self._settings).client.encode(), _checked(given).encode())
            contents = await self._find(key, _fingerprint(scope, body), maker)
        except (RequestError, BodyRefused) as error:
            return await error_response(scope, error)(scope, receive, send)
        if contents is not None:
            return await _send_again(contents, send)
        return await self._pass_on(scope, _with_body(body, receive), send, key, maker)

    async def _find(self, key: str, asked: str, maker: str) -> bytes | None:
        """The answer that is kept; None if it is to be made. Raises KeyInUse, KeyReused or StoreFailed."""
        kept = await self._answers.begin(key, asked, maker)
        if kept is None:
            return None
        if kept.asked != asked:
            raise KeyReused("this Idempotency-Key was sent with another request: take a new one for each request")
        if kept.contents is None:
            raise KeyInUse("the first request with this Idempotency-Key has not ended: try again later")
        return kept.contents

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, key: str, maker: str) -> None:
        """Let the application answer; an answer with an error, or that was cut off, is not kept."""
        answer, is_kept = Answer(), False

        async def keeping(message: Message) -> None:
            nonlocal is_kept
            answer.add(message)
            if answer.is_whole and answer.status < 400 and "reason" not in scope["state"]:
                is_kept = await self._end(key, maker, answer.to_bytes())  # first: then the client may send it again
            await send(message)

        renewing = asyncio.create_task(self._renew(key, maker))
        try:
            await self.app(scope, receive, keeping)
        finally:
            renewing.cancel()
            if not is_kept:
                await self._end(key, maker, None)

    async def _renew(self, key: str, maker: str) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 4)
            with contextlib.suppress(StoreFailed):
                await self._answers.renew(key, maker)

    async def _end(self, key: str, maker: str, contents: bytes | None) -> bool:
        """Keep an answer, or forget the request; whether it was kept. A store that fails loses the answer alone."""
        try:
            await self._answers.end(key, maker, contents)
        except StoreFailed as error:
            LOG.error("%s", error)
            return False
        return contents is not None


def _checked(key: str) -> str:
    if not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        message = f"Idempotency-Key must have 1 to {_LONGEST} ASCII characters"
        raise BadRequest(message, param="Idempotency-Key")
    return key


def _fingerprint(scope: Scope, body: bytes) -> str:
    """A hash of what was asked."""
    return _hash(scope["path"].encode(), scope.get("query_string", b""), body)


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


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


async def _send_again(contents: bytes, send: Send) -> None:
    head, _, body = contents.partition(b"\n")
    start = json.loads(head)
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in start["headers"]]
    headers.append((b"idempotent-replayed", b"true"))
    await send({"type": "http.response.start", "status": start["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})
