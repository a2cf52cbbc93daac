"""Security middleware: checks Host, Origin, API key and body size before every route."""

# ruff: noqa: N818 - each class is named after what happened

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import RequestError, TooLarge
from ..settings import Settings
from .error_responses import error_response

_PATHS_WITHOUT_KEY = (
    "/",
    "/openapi.json",
    "/health",
    "/health/live",
    "/health/ready",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Unauthorised(RequestError):
    """The API key is missing or wrong."""

    status, kind, code = 401, "authentication_error", "invalid_api_key"


class Forbidden(RequestError):
    """The request's Host or Origin is not allowed."""

    status, kind, code = 403, "permission_error", "forbidden"


class SecurityMiddleware:
    """Refuses a request before its body is read; limits the size of the body while it is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with the error."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        send = _add_headers(send)
        try:
            self._check(scope, Headers(scope=scope))
        except RequestError as request_error:
            return await error_response(scope, request_error)(scope, receive, send)
        return await self.app(scope, _limit_body(receive, self.settings.max_body_bytes), send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        self._check_names(headers)
        if needs_key(route_path(scope)) and scope["method"] != "OPTIONS":
            self._check_key(headers.get("authorization", ""))
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:18]) > self.settings.max_body_bytes:
            raise too_large(self.settings.max_body_bytes)

    def _check_names(self, headers: Headers) -> None:
        """Check Host (against DNS rebinding) and Origin (against pages of other sites in a user's browser)."""
        host = headers.get("host", "")
        if self.settings.hosts is not None and _host_name(host) not in self.settings.hosts:
            raise Forbidden("this server does not accept that Host name")
        origin = headers.get("origin")
        if origin is None or origin in self.settings.cors_origins or "*" in self.settings.cors_origins:
            return
        if origin.partition("://")[2] != host:
            raise Forbidden("pages of that origin may not use this server: allow it with --cors-origin")

    def _check_key(self, authorization: str) -> None:
        if self.settings.api_key is None:
            return
        scheme, _, key = authorization.partition(" ")
        is_right = hmac.compare_digest(key.strip().encode("utf-8", "replace"), self.settings.api_key.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise Unauthorised("the API key is missing or wrong: send Authorization: Bearer KEY")


def route_path(scope: Scope) -> str:
    """The request's path without the prefix at which the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def needs_key(path: str) -> bool:
    """Whether ``path`` needs the API key, if there is one: all but a short list of harmless paths."""
    return path not in _PATHS_WITHOUT_KEY and not path.startswith("/images/")


def _host_name(host: str) -> str:
    """The name in a Host header without the port; empty if it cannot be parsed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def too_large(limit: int) -> TooLarge:
    """The error for a body over ``limit`` bytes."""
    return TooLarge(f"the body is larger than this server's limit of {limit} bytes")


def _limit_body(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, str(too_large(limit)))  # the only exception that FastAPI does not replace here
        return message

    return counting


def _add_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
