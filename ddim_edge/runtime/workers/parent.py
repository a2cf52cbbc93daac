"""Starts a worker process for many requests, such as the rounds of a benchmark."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from .process import ChildProcess, exit_text

_END_SECONDS = 10.0


class WorkerFailedError(Exception):
    """A worker cannot go on; the message gives the reason in one line."""


class Worker:
    """A process that runs ``module`` with ``settings`` and responds to requests; see ``child.serve``.

    Ctrl-C in the terminal does not reach it: the parent decides when it ends.
    """

    def __init__(self, module: str, settings: Mapping[str, Any]) -> None:
        self._process = ChildProcess([sys.executable, "-m", module, json.dumps(settings)], own_session=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> dict[str, Any]:
        """Wait until the worker has opened what it measures and warmed up; returns its facts."""
        return dict(self._receive()["ready"])

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the response. Raises WorkerFailedError with the reason where there is none."""
        self._process.send(request)
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        response = self._process.receive()
        if response is None:
            raise WorkerFailedError(self._how_it_ended())
        if "failed" in response:
            raise WorkerFailedError(response["failed"])
        return response

    def _how_it_ended(self) -> str:
        code, line = self._process.wait(), self._process.last_error_line()
        assert code is not None
        return f"its process {exit_text(code)}" + (f": {line}" if line else "")

    def stop(self) -> None:
        """End the process, also in the middle of a request."""
        self._process.terminate(_END_SECONDS)
