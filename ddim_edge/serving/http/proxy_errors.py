"""Middleware for a proxy in front of replicas: its own errors in OpenAI's format."""

# ruff: noqa: N818 - each class is named after what happened

import json

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Cancelled, DeadlinePassed, NotFound, Overloaded, QueueFull, RequestError
from .error_responses import error_body, error_response

_LOST = "the replica that worked on this request was lost: send the request again"
_MESSAGES: dict[int, RequestError] = {
    404: NotFound("no application is served under this path"),
    408: DeadlinePassed("the request took longer than the proxy's request_timeout_s"),
    429: QueueFull("too many requests are waiting for a replica: try again later"),
    499: Cancelled("the client disconnected"),
}


class ReplicaLost(RequestError):
    """The replica that worked on the request has ended."""

    status, kind, code, retry_after = 503, "server_error", "replica_lost", 1


class ProxyErrorsMiddleware:
    """Replaces a proxy's text/plain errors; answers, and ends event streams, where a replica was lost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; its response is passed back, or replaced."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        response = _Response(scope, send)
        await self.app(scope, receive, response.send)
        return await response.finish(receive)


class _Response:
    """What one response has come to: nothing yet, a response that is passed on, or an error to replace."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._error: RequestError | None = ReplicaLost(_LOST)
        self._is_stream = self._ended = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._error = _error_of(message)
            self._is_stream = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
            _keep_one_request_id(message)
        if self._error is None:
            self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await self._send(message)

    async def finish(self, receive: Receive) -> None:
        """Send the error; a response other than an event stream that was cut off stays so."""
        if self._error is not None:
            await error_response(self._scope, self._error)(self._scope, receive, self._send)
        elif self._is_stream and not self._ended:
            event = f"event: error\ndata: {json.dumps(error_body(ReplicaLost(_LOST)))}\n\n"
            await self._send({"type": "http.response.body", "body": event.encode()})


def _error_of(start: Message) -> RequestError | None:
    is_text = Headers(raw=start["headers"]).get("content-type", "").startswith("text/plain")
    if start["status"] < 400 or not is_text:
        return None
    return _MESSAGES.get(start["status"], Overloaded("no replica can take the request: try again later"))


def _keep_one_request_id(start: Message) -> None:
    """The proxy and the replica each add one; they are the same."""
    start["headers"] = list(start["headers"])
    headers = MutableHeaders(scope=start)
    if "x-request-id" in headers:
        headers["X-Request-Id"] = headers["X-Request-Id"]
