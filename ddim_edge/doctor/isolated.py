"""A task in a process of its own: a driver that hangs, or a provider that crashes, takes nothing else along."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_THIS_PYTHON = (sys.executable, "-m", "ddim_edge.doctor")
_LAST_WORDS = 200
_KILL_SECONDS = 5


def run_isolated(task: str, *arguments: str, seconds: float, command: Sequence[str] = _THIS_PYTHON) -> dict[str, Any]:
    """The object that the task prints as JSON in its last line; {"reason": why there is none} otherwise."""
    process = subprocess.Popen(
        [*command, task, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return {"reason": f"no answer within {seconds:g} s, as where a driver hangs"}
    if process.returncode == 0 and out:
        return dict(json.loads(out.splitlines()[-1]))
    words = err.strip().splitlines()
    return {"reason": _ending(process.returncode) + (f": {words[-1][:_LAST_WORDS]}" if words else "")}


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # what hangs in a driver cannot always be ended
        process.communicate(timeout=_KILL_SECONDS)


def _ending(code: int) -> str:
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    if code >= 0xC0000000:  # how Windows says it
        return f"crashed (0x{code:X})"
    return f"ended with exit code {code}"
