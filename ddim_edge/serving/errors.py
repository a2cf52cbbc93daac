"""Why the server does not do what it was asked: each with the status that HTTP gives it.

::

    DdimEdgeError
    └── RequestError
        ├── BadRequest            400  an option that this server or this model does not honour
        ├── NotFound         404  a model, a job or a page
        ├── TooLarge         413  a body
        ├── QueueFull        429  too many requests wait
        ├── Draining         503  the server is about to stop
        ├── EngineDead       503  the engine's thread has ended by itself
        ├── ModelFailed      500  a network that failed, with its name
        ├── DeadlinePassed   504
        └── Cancelled        499  by the client
"""

# ruff: noqa: N818 - each class is named after what happened

from ..errors import DdimEdgeError


class RequestError(DdimEdgeError):
    """``status`` is HTTP's, ``kind`` and ``code`` are OpenAI's words; ``param`` is the option at fault."""

    status = 400
    kind = "invalid_request_error"
    code: str = "invalid_value"
    retry_after: int | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code or self.code


class BadRequest(RequestError):
    """An option that this server or this model does not honour."""


class NotFound(RequestError):
    """Something that is not here."""

    status, code = 404, "not_found"


class TooLarge(RequestError):
    """A body over the limit."""

    status, code = 413, "body_too_large"


class QueueFull(RequestError):
    """Too many requests wait."""

    status, kind, code, retry_after = 429, "rate_limit_error", "queue_full", 1


class Draining(RequestError):
    """The server is about to stop."""

    status, kind, code, retry_after = 503, "server_error", "draining", 5


class EngineDead(RequestError):
    """The engine's thread has ended by itself; the process is about to."""

    status, kind, code, retry_after = 503, "server_error", "engine_dead", 5


class ModelFailed(RequestError):
    """A network that failed, or a model that cannot be opened."""

    status, kind, code = 500, "server_error", "model_failed"


class DeadlinePassed(RequestError):
    """It took longer than allowed."""

    status, kind, code = 504, "timeout_error", "deadline_passed"


class Cancelled(RequestError):
    """The client took it back."""

    status, code = 499, "cancelled"
