"""OpenAI's shape for every error, from whatever layer it comes."""

# ruff: noqa: N818 - each class is named after what happened

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
from ..errors import BadRequest, Cancelled, ModelFailed, NotFound, RequestError, TooLarge

LOG = logging.getLogger("ddim_edge.serving")


class MethodNotAllowed(RequestError):
    """A path that is there, asked in another way."""

    status, code = 405, "method_not_allowed"


class Internal(RequestError):
    """A fault of ours."""

    status, kind, code = 500, "server_error", "internal_error"


def request_error_of(error: Exception) -> RequestError:
    """What a client is told of an error. Of a model's failure it learns the component, never a path."""
    match error:
        case RequestError():
            return error
        case ConfigError():
            return BadRequest(str(error))
        case PredictionError():
            return ModelFailed(str(error))
        case BundleError():
            return ModelFailed("the model cannot be run: the server's log says why")
        case DdimEdgeError() | MemoryError():
            return ModelFailed(f"the model failed: {str(error) or 'out of memory'}")
        case HTTPException():
            return _http_error_of(error)
        case ClientDisconnect():
            return Cancelled("the client went away")
        case _:
            return Internal("a fault of the server: its log says more, under the id in X-Request-Id")


def _http_error_of(error: HTTPException) -> RequestError:
    kinds = {404: NotFound, 405: MethodNotAllowed, 413: TooLarge}
    if error.status_code >= 500:
        return Internal("a fault of the server")
    return kinds.get(error.status_code, BadRequest)(str(error.detail))


def validation_error_of(error: RequestValidationError | ValidationError) -> BadRequest:
    """The first thing that is wrong with a body or a query, and which option it is."""
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    param = where[0] if where and first["type"] != "json_invalid" else None
    if first["type"] == "extra_forbidden":
        return BadRequest(f"{param} is no option here", param=param, code="unknown_parameter")
    return BadRequest(f"{param or 'the body'}: {first['msg']}", param=param)


def error_body(request_error: RequestError) -> dict[str, Any]:
    """OpenAI's error object."""
    return {
        "error": {
            "message": str(request_error),
            "type": request_error.kind,
            "param": request_error.param,
            "code": request_error.code,
        }
    }


def error_response(scope: Scope, error: Exception) -> Response:
    """The response for an error; leaves its code in the scope for the log."""
    request_error = request_error_of(error)
    scope.setdefault("state", {})["reason"] = request_error.code
    headers = {} if request_error.retry_after is None else {"Retry-After": str(request_error.retry_after)}
    if request_error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # ASCII, for a message may quote a lone surrogate, which UTF-8 cannot hold.
    return Response(json.dumps(error_body(request_error)), request_error.status, headers, "application/json")


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """What a path may be asked by; Starlette's own answer knows the first of its routes alone."""
    found = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    return {method for route in found for method in getattr(route, "methods", None) or ()}


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Answer every exception that one of the application's ``routes`` raises, and the lack of one."""

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
