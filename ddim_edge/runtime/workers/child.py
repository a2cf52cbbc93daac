"""Worker protocol: one JSON request per line on standard input, one JSON response per line on standard output.

A worker is a process of its own where a crash must not end the parent, and for benchmarks because several live
sessions in one process spin against each other. This is the worker's side; ``process.py`` is the parent's.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ...errors import DdimEdgeError

Record = dict[str, Any]
"""What JSON can hold."""
Respond = Callable[[Mapping[str, Any]], Record]
"""From a request to its response."""
Setup = Callable[[Mapping[str, Any]], tuple[Record, Respond]]
"""From settings to the facts for the first response, and to what responds to the requests."""

_IDLE_WINDOW_S, _IDLE_SHARE, _IDLE_TIMEOUT_S = 0.02, 0.2, 2.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def serve(setup: Setup) -> None:
    """Respond to requests until standard input ends. The settings are the process's one argument, as JSON.

    The first response is ``{"ready": facts}``. An error is the response ``{"failed": reason}`` and ends the process.
    """
    out = _own_stdout()
    try:
        facts, respond = setup(json.loads(sys.argv[1]))
        _write(out, {"ready": facts})
        for line in sys.stdin:
            response = respond(json.loads(line))
            wait_until_idle()
            _write(out, response)
    except Exception as error:  # whatever it is, the parent reports it
        _write(out, {"failed": one_line_error(error)})
        sys.exit(1)


def serve_once(respond: Respond) -> None:
    """Respond to one request. A DdimEdgeError is the response ``{"error": message}``, with exit code 2.

    Ends when the parent does, and at Ctrl-C.
    """
    end_with_parent()
    out = _own_stdout()
    try:
        _write(out, respond(json.loads(sys.stdin.readline())))
    except DdimEdgeError as error:
        _write(out, {"error": str(error)})
        sys.exit(2)


def end_with_parent() -> None:
    """End at once at Ctrl-C and, on Linux, when the parent ends for whatever reason, also in the middle of a C call."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler runs only after the C call has returned
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _own_stdout() -> TextIO:
    """Standard output for responses only: whatever libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _write(out: TextIO, record: Mapping[str, Any]) -> None:
    print(json.dumps(record), file=out, flush=True)


def one_line_error(error: BaseException) -> str:
    """An error in one line: the message, and for errors of other packages their type before it."""
    text = " ".join(str(error).split())
    return text if isinstance(error, DdimEdgeError) else f"{type(error).__name__}: {text}"


def wait_until_idle() -> None:
    """Wait until this process uses no processor time: threads of a pool spin for a while after their last task."""
    end = time.monotonic() + _IDLE_TIMEOUT_S
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(_IDLE_WINDOW_S)
        if time.process_time() - before < _IDLE_SHARE * _IDLE_WINDOW_S:
            return
