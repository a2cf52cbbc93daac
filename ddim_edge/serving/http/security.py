"""The gate before every route: who may ask, from which page, under which name, and how much at once."""

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
    """No key, or a wrong one."""

    status, kind, code = 401, "authentication_error", "invalid_api_key"


class Forbidden(RequestError):
    """A page or a name that was not listed."""

    status, kind, code = 403, "permission_error", "forbidden"


class SecurityMiddleware:
    """Refuses before a body is read; counts the body while it is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
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
        """A page of elsewhere may not use the browser of somebody who may, nor give its own name to this server."""
        host = headers.get("host", "")
        if self.settings.hosts is not None and _host_name(host) not in self.settings.hosts:
            raise Forbidden("this server does not go by that Host name")
        origin = headers.get("origin")
        if origin is None or origin in self.settings.cors_origins or "*" in self.settings.cors_origins:
            return
        if origin.partition("://")[2] != host:
            raise Forbidden("pages of that origin may not use this server: --cors-origin lists those that may")

    def _check_key(self, authorization: str) -> None:
        if self.settings.api_key is None:
            return
        scheme, _, key = authorization.partition(" ")
        is_right = hmac.compare_digest(key.strip().encode("utf-8", "replace"), self.settings.api_key.encode())
        if scheme.lower() != "bearer" or not is_right:
            raise Unauthorised("the API key is missing or wrong: send Authorization: Bearer KEY")


def route_path(scope: Scope) -> str:
    """What was asked for, without the path that the application is mounted at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def needs_key(path: str) -> bool:
    """Whether only who has the key, if there is one, may ask for ``path``: all but what is known to be harmless."""
    return path not in _PATHS_WITHOUT_KEY and not path.startswith("/images/")


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def too_large(limit: int) -> TooLarge:
    """The error of a body over ``limit`` bytes."""
    return TooLarge(f"the body is larger than {limit} bytes, the most that this server takes")


def _limit_body(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, str(too_large(limit)))  # the one kind that FastAPI lets pass while it reads
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
