"""Runs a task in a process of its own, so that a driver that hangs or a provider that crashes does not end this one."""

import signal
import sys
from collections.abc import Sequence
from typing import Any

from ..runtime.workers.process import ChildProcess

_THIS_PYTHON = (sys.executable, "-m", "ddim_edge.doctor")
_LINE_LENGTH = 200


def run_isolated(task: str, *arguments: str, seconds: float, command: Sequence[str] = _THIS_PYTHON) -> dict[str, Any]:
    """The task's response; {"reason": why there is none} where it crashes or takes longer than ``seconds``."""
    process = ChildProcess(command)
    try:
        process.send({"task": task, "arguments": arguments}, last=True)
        code = process.wait(seconds)
        if code is None:
            return {"reason": f"no answer within {seconds:g} s, as where a driver hangs"}
        response = process.last_response() if code == 0 else None
        return response or {"reason": _ending(code, process.last_error_line())}
    finally:
        process.kill()


def _ending(code: int, last_line: str | None) -> str:
    how = f"ended with exit code {code}"
    if code < 0:
        how = f"crashed ({signal.Signals(-code).name})"
    elif code >= 0xC0000000:  # a crash on Windows
        how = f"crashed (0x{code:X})"
    return f"{how}: {last_line[:_LINE_LENGTH]}" if last_line else how
