"""Security middleware: checks Host, Origin and API key before every route."""

# ruff: noqa: N818 - each class is named after what happened

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import RequestError
from ..settings import Settings
from .error_responses import error_response
from .paths import route_path

_PATHS_WITHOUT_KEY = (
    "/",
    "/docs",
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
    """Refuses a request before its body is read."""

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
        return await self.app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        self._check_names(headers)
        if needs_key(route_path(scope)) and scope["method"] != "OPTIONS":
            self._check_key(scope, headers.get("authorization", ""))

    def _check_names(self, headers: Headers) -> None:
        """Check Host (against DNS rebinding) and Origin (against pages of other sites in a user's browser)."""
        host = headers.get("host", "")
        if not self._is_allowed(_host_name(host)):
            raise Forbidden("this server does not accept that Host name: allow it with --allowed-host")
        origin = headers.get("origin")
        if origin is None or origin in self.settings.cors_origins or "*" in self.settings.cors_origins:
            return
        if origin.partition("://")[2] != host:
            raise Forbidden("pages of that origin may not use this server: allow it with --cors-origin")

    def _is_allowed(self, name: str) -> bool:
        """Whether a Host name is allowed. An address always is: DNS rebinding needs a name."""
        hosts = self.settings.hosts
        return hosts is None or "*" in hosts or name in map(str.lower, hosts) or _is_address(name)

    def _check_key(self, scope: Scope, authorization: str) -> None:
        """Check the key; one with a name is stored as ``scope["state"]["api_key"]``."""
        if not self.settings.needs_key:
            return
        scheme, _, given = authorization.partition(" ")
        key = given.strip().encode("utf-8", "replace")
        if self.settings.api_keys is not None:
            found = self.settings.api_keys.find(key)
            is_right = found is not None
        else:
            # A comparison with each key, always: the time must not tell which one is nearly right.
            matches = [hmac.compare_digest(key, each.encode()) for each in self.settings.keys]
            found, is_right = None, any(matches)
        if scheme.lower() != "bearer" or not is_right:
            raise Unauthorised("the API key is missing or wrong: send Authorization: Bearer KEY")
        scope.setdefault("state", {})["api_key"] = found


def needs_key(path: str) -> bool:
    """Whether ``path`` needs the API key, if there is one: all but a short list of harmless paths."""
    return path not in _PATHS_WITHOUT_KEY and not path.startswith("/images/")


def _host_name(host: str) -> str:
    """The name in a Host header without the port; empty if it cannot be parsed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _add_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
