"""Errors of the server, each with its HTTP status.

::

    DdimEdgeError
    └── RequestError
        ├── BadRequest       400  an option that this server or this model does not support
        ├── ModelForbidden   403  a model that the API key may not use
        ├── NotFound         404  an unknown model, job, image or path
        ├── RequestTimeout   408  the client sent its request too slowly
        ├── TooLarge         413  a request body over the limit
        ├── QueueFull        429  too many requests are waiting, of all clients or of this one
        ├── KeyLimit         429  a limit of the API key is reached
        ├── Cancelled        499  cancelled by the client
        ├── ModelFailed      500  a network failed, or a model cannot be opened
        ├── Draining         503  the server is shutting down
        ├── EngineDead       503  the engine thread has stopped after an internal error
        ├── Overloaded       503  too many connections, or too many uploads at once
        ├── OutOfMemory      503  the server has too little memory for the request
        ├── StoreFailed      503  the store of images and jobs cannot be reached
        ├── DeadlinePassed   504  the request took longer than its timeout
        └── DiskFull         507  the server's disk is full
"""

# ruff: noqa: N818 - each class is named after what happened

from ..errors import DdimEdgeError


class RequestError(DdimEdgeError):
    """Base of the errors that a client gets as JSON.

    ``status`` is the HTTP status; ``kind`` (JSON's ``type``) and ``code`` are OpenAI's words; ``param`` is the wrong
    option; ``retry_after`` is the Retry-After header in seconds.
    """

    status = 400
    kind = "invalid_request_error"
    code: str = "invalid_value"
    retry_after: int | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code or self.code


class BadRequest(RequestError):
    """An option that this server or this model does not support."""


class ModelForbidden(RequestError):
    """A model that the API key may not use."""

    status, kind, code = 403, "permission_error", "model_not_allowed"


class NotFound(RequestError):
    """An unknown model, job, image or path."""

    status, code = 404, "not_found"


class RequestTimeout(RequestError):
    """The client sent its request too slowly."""

    status, kind, code = 408, "timeout_error", "request_timeout"


class TooLarge(RequestError):
    """A request body over the limit."""

    status, code = 413, "body_too_large"


class QueueFull(RequestError):
    """Too many requests are waiting, of all clients or of this one."""

    status, kind, code = 429, "rate_limit_error", "queue_full"


class KeyLimit(QueueFull):
    """A limit of the API key is reached."""

    code = "key_limit"


class Cancelled(RequestError):
    """The request was cancelled by the client."""

    status, code = 499, "cancelled"


class ModelFailed(RequestError):
    """A network failed, or a model cannot be opened."""

    status, kind, code = 500, "server_error", "model_failed"


class Draining(RequestError):
    """The server is shutting down."""

    status, kind, code, retry_after = 503, "server_error", "draining", 5


class EngineDead(RequestError):
    """The engine thread has stopped after an internal error; the process is about to exit."""

    status, kind, code, retry_after = 503, "server_error", "engine_dead", 5


class Overloaded(RequestError):
    """Too many connections, or too many uploads at once."""

    status, kind, code, retry_after = 503, "server_error", "overloaded", 1


class OutOfMemory(RequestError):
    """The server has too little memory for the request."""

    status, kind, code, retry_after = 503, "server_error", "out_of_memory", 5


class StoreFailed(RequestError):
    """The store of images and jobs cannot be reached."""

    status, kind, code, retry_after = 503, "server_error", "store_failed", 5


class DeadlinePassed(RequestError):
    """The request took longer than its timeout."""

    status, kind, code = 504, "timeout_error", "deadline_passed"


class DiskFull(RequestError):
    """The server's disk is full."""

    status, kind, code = 507, "server_error", "disk_full"
