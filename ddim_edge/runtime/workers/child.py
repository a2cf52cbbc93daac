"""A process that is asked: a question is a line of JSON on standard input, its answer a line on standard output.

What is measured beside something else runs in such a process of its own: several live sessions in one process spin
against each other. This is its side; ``parent.py`` asks.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ...errors import DdimEdgeError

Record = dict[str, Any]
"""What JSON can hold."""
Answer = Callable[[Mapping[str, Any]], Record]
Open = Callable[[Mapping[str, Any]], tuple[Record, Answer]]
"""From settings to what there is to say at the start, and to what answers from then on."""

_REST_S, _REST_SHARE, _REST_AT_MOST_S = 0.02, 0.2, 2.0


def serve(open_: Open) -> None:
    """Open what the settings say, the process's one argument, and answer every line until standard input ends.

    The first line out is ``{"ready": facts}``. An error is one line, too, ``{"failed": reason}``, and ends the process.
    """
    out = _own_stdout()
    try:
        facts, answer = open_(json.loads(sys.argv[1]))
        _say(out, {"ready": facts})
        for line in sys.stdin:
            record = answer(json.loads(line))
            wait_until_idle()
            _say(out, record)
    except Exception as error:  # whatever it is, the one who asks wants to know it
        _say(out, {"failed": reason_of(error)})
        sys.exit(1)


def _own_stdout() -> TextIO:
    """Standard output for answers alone: whatever libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _say(out: TextIO, record: Mapping[str, Any]) -> None:
    print(json.dumps(record), file=out, flush=True)


def reason_of(error: BaseException) -> str:
    """An error in one line: our own say what to do, others at least what they are."""
    text = " ".join(str(error).split())
    return text if isinstance(error, DdimEdgeError) else f"{type(error).__name__}: {text}"


def wait_until_idle() -> None:
    """Wait until this process computes nothing: threads of a pool spin for a while after their last task."""
    end = time.monotonic() + _REST_AT_MOST_S
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(_REST_S)
        if time.process_time() - before < _REST_SHARE * _REST_S:
            return
