"""Worker process that runs one task of the doctor: ``run_isolated`` starts it."""

from collections.abc import Callable, Mapping
from typing import Any

from ..runtime.workers.child import Record, serve_once
from .driver import driver_facts
from .trial import try_provider

_TASKS: Mapping[str, Callable[..., Record]] = {"driver": driver_facts, "trial": try_provider}


def respond(request: Mapping[str, Any]) -> Record:
    """The result of ``request["task"]``, called with ``request["arguments"]``."""
    return _TASKS[request["task"]](*request["arguments"])


if __name__ == "__main__":
    serve_once(respond)
