"""Access log middleware: one JSON line for each request, its X-Request-Id, and a response to unexpected exceptions."""

import asyncio
import json
import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Draining
from ..scheduling.async_engine import AsyncEngine
from .error_responses import error_response
from .paths import route_path

ACCESS = logging.getLogger("ddim_edge.access")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class AccessLogMiddleware:
    """Logs method, path, status, seconds and the key's name; never the query, headers or the key itself.

    Prompts only with ``log_prompts``.
    """

    def __init__(self, app: ASGIApp, engine: AsyncEngine) -> None:
        self.app, self.engine = app, engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it when its response has ended."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given_id = Headers(scope=scope).get("x-request-id", "")
        request_id = given_id if _ID.fullmatch(given_id) else uuid.uuid4().hex
        status, start = 499, time.perf_counter()
        scope.setdefault("state", {}).update(arrived=self.engine.engine_thread.clock(), request_id=request_id)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except asyncio.CancelledError:  # uvicorn's, at the end of the drain
            if not self.engine.engine_thread.draining:
                raise
            if status == 499:
                await error_response(scope, Draining("the server is shutting down"))(scope, receive, sending)
        except Exception as error:
            response = error_response(scope, error)
            if status == 499:  # no response has been started
                await response(scope, receive, sending)
        finally:
            self._log(scope, request_id, status, time.perf_counter() - start)
        return None

    def _log(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        state = scope.get("state", {})
        route = getattr(scope.get("route"), "path", "none")
        self.engine.metrics.request(route, status, seconds, state.get("reason"))
        line: dict[str, Any] = {
            "time": _now(),
            "request_id": request_id,
            "method": scope["method"],
            "path": _logged_path(scope),
            "status": status,
            "seconds": round(seconds, 4),
        }
        if state.get("api_key") is not None:
            line["key"] = state["api_key"].name
        if "reason" in state:
            line["reason"] = state["reason"]
        if self.engine.settings.log_prompts and "prompt" in state:
            line["prompt"] = state["prompt"]
        ACCESS.info(json.dumps(line))


def log_job(job_id: str, request_id: str, status: str, seconds: float, reason: str | None) -> None:
    """Log the end of a job; ``request_id`` is that of the request which made it, ``reason`` the code of its error."""
    line = {"time": _now(), "request_id": request_id, "job": job_id, "status": status, "seconds": round(seconds, 4)}
    ACCESS.info(json.dumps(line if reason is None else {**line, "reason": reason}))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _logged_path(scope: Scope) -> str:
    """The request's path without the name of an image: everybody who knows the name can fetch the image."""
    path: str = scope["path"]
    return "/images/…" if route_path(scope).startswith("/images/") else path
