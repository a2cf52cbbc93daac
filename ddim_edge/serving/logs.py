"""The log of the server process: where it goes, and what it must not contain."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

from ..errors import BundleError, PredictionError, ProviderError

_WITHOUT_INPUT = (BundleError, PredictionError, ProviderError, OSError, MemoryError)
"""Errors whose message never quotes a request."""
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PromptlessFormatter(logging.Formatter):
    """Formats exceptions without their messages, except for those that cannot quote a prompt."""

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - the name is logging's
        """The traceback and the type of each exception of the chain."""
        return "" if ei[1] is None else "\n".join(_describe(error) for error in _chain(ei[1]))


class ReadableFormatter(logging.Formatter):
    """Formats a JSON line of the access log for a person: time, status, request or job, seconds, and what else it has.

    What cannot be printed is escaped, because a client chooses the path.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = json.loads(record.getMessage())
        request = f"{line['method']} {line['path']}" if "path" in line else f"job {line['job']}"
        more = [f"{name} {line[name]}" for name in ("key", "reason", "prompt") if name in line]
        parts = (self.formatTime(record, "%H:%M:%S"), str(line["status"]), request, f"{line['seconds']:.3g} s", *more)
        return "  ".join(part if part.isprintable() else repr(part) for part in parts)


def log_to_stderr(log_prompts: bool) -> None:
    """Log to stderr: the access log as JSON, on a terminal as readable lines; all else with level and logger name."""
    access = logging.StreamHandler()
    access.setFormatter(ReadableFormatter() if sys.stderr.isatty() else logging.Formatter("%(message)s"))
    logging.getLogger("ddim_edge.access").addHandler(access)
    logging.getLogger("ddim_edge.access").setLevel(logging.INFO)
    logging.getLogger("ddim_edge.access").propagate = False
    other = logging.StreamHandler()
    formatter = logging.Formatter if log_prompts else PromptlessFormatter
    other.setFormatter(formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[other])
    # These warn of every malformed request, so a client could fill the log.
    for name in ("uvicorn.error", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that led to it, the first one first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _chain(cause)
    yield error


def _describe(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    shows_message = isinstance(error, _WITHOUT_INPUT) or kind.__module__.startswith("onnxruntime")
    message = str(error) if shows_message else "(message not logged: it may quote a prompt; see --log-prompts)"
    return "".join(traceback.format_tb(error.__traceback__)) + f"{name}: {message}"
