"""Request bodies: limits on their size, on their time, and on the memory of all uploads together."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...runtime.hardware.memory import trim_heap
from ..errors import Overloaded, RequestTimeout, TooLarge
from ..settings import Settings
from .error_responses import BodyRefused, error_response
from .forms import is_form
from .paths import is_kserve

HEADER_LENGTH = "inference-header-content-length"
"""The header of KServe's binary data: after so many bytes of JSON the body has the arrays."""
_TRIM_BYTES = 64 * 2**20
"""So many bytes of forms at once are given back to the system when they are freed, which takes some milliseconds."""
_TRIM_AFTER_S = 1.0
"""Later, because what read the form still refers to it."""


class BodyLimitMiddleware:
    """Refuses a body that is too large, too slow, or one upload too many, while it is read.

    Only forms and arrays have a common limit on their bytes: other bodies are so small that the number of connections
    limits them.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.uploads_bytes = 0
        """The bytes of all forms and arrays in memory."""
        self.most_bytes = 0
        """The most that they were since memory was given back."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a limited body; ``scope["state"]["body"]`` is its Body."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        counted = is_form(headers) or (HEADER_LENGTH in headers and is_kserve(scope))
        limit = self.settings.max_body_bytes
        if not counted:
            limit = min(limit, self.settings.max_json_bytes)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:18]) > limit:
            return await error_response(scope, _too_large(limit, scope))(scope, receive, send)
        body = Body(self, scope, receive, limit, counted)
        scope.setdefault("state", {})["body"] = body
        try:
            return await self.app(scope, body.receive, send)
        finally:
            body.release()


class Body:
    """The body of one request, while it is read and kept."""

    def __init__(self, limits: BodyLimitMiddleware, scope: Scope, receive: Receive, limit: int, counted: bool) -> None:
        self._limits, self._scope, self._receive = limits, scope, receive
        self._limit, self._counted = limit, counted
        self._deadline = asyncio.get_running_loop().time() + limits.settings.body_timeout_s
        self._read = self._kept = 0
        self._is_whole = False

    async def receive(self) -> Message:
        """ASGI's receive; raises BodyRefused."""
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            seconds = self._limits.settings.body_timeout_s
            raise BodyRefused(RequestTimeout(f"the body took longer than this server's {seconds:g} seconds")) from None
        self._is_whole = not message.get("more_body", False)
        self._count(len(message.get("body", b"")))
        return message

    def _count(self, size: int) -> None:
        self._read += size
        if self._read > self._limit:
            raise BodyRefused(_too_large(self._limit, self._scope))
        if self._counted:
            if self._limits.uploads_bytes + size > self._limits.settings.max_uploads_bytes:
                raise BodyRefused(Overloaded("too many uploads at once: try again later"))
            self._limits.uploads_bytes += size
            self._limits.most_bytes = max(self._limits.most_bytes, self._limits.uploads_bytes)
            self._kept += size

    def release(self) -> None:
        """Take its bytes from the total: its form is no longer in memory."""
        self._limits.uploads_bytes -= self._kept
        self._kept = 0
        if self._limits.uploads_bytes == 0 and self._limits.most_bytes >= _TRIM_BYTES:
            self._limits.most_bytes = 0
            asyncio.get_running_loop().call_later(_TRIM_AFTER_S, trim_heap)


def _too_large(limit: int, scope: Scope) -> TooLarge:
    hint = ": send fewer rows, or arrays as binary data" if is_kserve(scope) else ""
    return TooLarge(f"the body is larger than this server's limit of {limit} bytes{hint}")
