"""A child process: JSON requests on its standard input, JSON responses on its standard output, and how it ended."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

_KILL_SECONDS = 5.0
"""A process that hangs in a driver cannot always be killed: it is not waited for longer."""


class ChildProcess:
    """A process that reads a request and writes a response per line, as JSON; ``child.py`` is its side.

    Args:
        command: the program and its arguments.
        own_session: whether Ctrl-C in the terminal reaches this process only, not the child.
    """

    def __init__(self, command: Sequence[str], *, own_session: bool = False) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by ``close``)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=own_session and os.name == "posix",
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, request: Mapping[str, Any], *, last: bool = False) -> None:
        """Write a request; ``last`` closes the child's standard input. No error where the child has ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            print(json.dumps(request), file=self._process.stdin, flush=True)
        if last:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next response; None where the child ends without one. ValueError where it is not JSON."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return dict(json.loads(line)) if line else None

    def last_response(self) -> dict[str, Any] | None:
        """The last line that a child which has ended wrote; None where that is no JSON object."""
        assert self._process.stdout is not None
        lines = self._process.stdout.read().splitlines() or [""]
        try:
            return dict(json.loads(lines[-1]))
        except (ValueError, TypeError):
            return None

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code, negative for a signal; None where the child still runs after ``timeout`` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def last_error_line(self) -> str | None:
        """The last line on standard error that is not empty."""
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), None)

    def terminate(self, timeout: float) -> None:
        """Close the pipes and ask the child to end; kill it where it has not ended after ``timeout`` seconds."""
        self._close_pipes()
        self._process.terminate()
        self.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End the child at once, and free what it held here."""
        self._process.kill()
        self.wait(_KILL_SECONDS)
        self._close_pipes()
        self._errors.close()

    def _close_pipes(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # the child never read what was written last
                stream.close()


def exit_text(code: int) -> str:
    """How a process ended, such as "was killed by SIGABRT" or "ended with code 1"."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
