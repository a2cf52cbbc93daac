"""Error responses: every exception as a JSON object in OpenAI's format, under ``/v2`` in KServe's."""

# ruff: noqa: N818 - each class is named after what happened

import errno
import json
import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from ...errors import BundleError, ConfigError, DdimEdgeError, PredictionError
from ..errors import BadRequest, Cancelled, DiskFull, ModelFailed, NotFound, OutOfMemory, RequestError, TooLarge
from .field_errors import field_error
from .paths import is_kserve
from .schemas import UNKNOWN_OPTION

LOG = logging.getLogger("ddim_edge.serving")


class MethodNotAllowed(RequestError):
    """A known path with an HTTP method that it does not support."""

    status, code = 405, "method_not_allowed"


class Internal(RequestError):
    """An internal error of the server."""

    status, kind, code = 500, "server_error", "internal_error"


class BodyRefused(HTTPException):
    """Raised while a body is read. FastAPI passes on no other exception there; ``request_error`` is the reason."""

    def __init__(self, request_error: RequestError) -> None:
        super().__init__(request_error.status, str(request_error))
        self.request_error = request_error


def request_error_of(error: Exception) -> RequestError:
    """The RequestError that a client gets for any exception. A model's failure names the component, never a path."""
    match error:
        case RequestError():
            return error
        case ConfigError():
            return BadRequest(str(error))
        case PredictionError():
            return ModelFailed(str(error))
        case BundleError():
            return ModelFailed("the model cannot be run: see the server's log")
        case DdimEdgeError():
            return ModelFailed(f"the model failed: {error}")
        case MemoryError():
            return OutOfMemory("the server has too little memory for this request: try again later")
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return DiskFull("the server's disk is full")
        case BodyRefused():
            return error.request_error
        case HTTPException():
            return _http_error_of(error)
        case ClientDisconnect():
            return Cancelled("the client disconnected")
        case _:
            return Internal("internal server error: see the server's log under the id in X-Request-Id")


def _http_error_of(error: HTTPException) -> RequestError:
    kinds = {404: NotFound, 405: MethodNotAllowed, 413: TooLarge}
    if error.status_code >= 500:
        return Internal("internal server error")
    hint = ": /docs lists the paths and their methods" if error.status_code in (404, 405) else ""
    return kinds.get(error.status_code, BadRequest)(f"{error.detail}{hint}")


def validation_error_of(error: RequestValidationError | ValidationError) -> BadRequest:
    """The first validation error of a body or a query, with the option's name as ``param``."""
    first = error.errors()[0]
    if first["type"] == UNKNOWN_OPTION:
        return BadRequest(first["msg"], param=first["ctx"]["name"], code=UNKNOWN_OPTION)
    path = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    param = path[0] if path and first["type"] != "json_invalid" else None
    if param is None:
        return BadRequest(f"the body must be a JSON object, sent as Content-Type: application/json ({first['msg']})")
    return BadRequest(field_error(path, first), param=param)


def error_body(request_error: RequestError) -> dict[str, Any]:
    """The JSON object of an error, in OpenAI's format."""
    return {
        "error": {
            "message": str(request_error),
            "type": request_error.kind,
            "param": request_error.param,
            "code": request_error.code,
        }
    }


def logged_error(scope: Scope, error: Exception) -> RequestError:
    """The RequestError of an error; stores its code for the access log, and logs one that is a fault of the server."""
    request_error = request_error_of(error)
    state = scope.setdefault("state", {})
    state["reason"] = request_error.code
    match request_error:
        case Internal():
            LOG.error("request %s failed", state.get("request_id"), exc_info=error)
        case DiskFull():
            LOG.error("request %s failed: %s", state.get("request_id"), error)
    return request_error


def error_response(scope: Scope, error: Exception) -> Response:
    """The response for an error, as ``logged_error`` gives it."""
    request_error = logged_error(scope, error)
    headers = {} if request_error.retry_after is None else {"Retry-After": str(request_error.retry_after)}
    if request_error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # ASCII JSON, because a message may quote a lone surrogate, which UTF-8 cannot encode.
    body = {"error": str(request_error)} if is_kserve(scope) else error_body(request_error)
    return Response(json.dumps(body), request_error.status, headers, "application/json")


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """All HTTP methods of a path; Starlette's Allow header has only those of the first matching route."""
    found = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    methods = {method for route in found for method in getattr(route, "methods", None) or ()}
    return methods | ({"HEAD"} if "GET" in methods else set())


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Add exception handlers, also for unknown paths and methods; ``routes`` are all routes of the application."""

    async def on_error(request: Request, error: Exception) -> Response:
        response = error_response(request.scope, error)
        if response.status_code == 405:
            response.headers["Allow"] = ", ".join(sorted(_methods(routes, request.scope)))
        return response

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, (RequestValidationError, ValidationError))
        return error_response(request.scope, validation_error_of(error))

    for kind in (DdimEdgeError, MemoryError, HTTPException):
        app.add_exception_handler(kind, on_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(ValidationError, on_validation)
