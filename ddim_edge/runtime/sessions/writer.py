"""Worker process that writes one optimized graph: ``python -m ddim_edge.runtime.sessions.writer``.

A process of its own, because writing takes all weights in private memory, and the process that makes images keeps a
limit. Ctrl-C ends it, as does the end of its parent.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import BuildError, OutputError
from ..workers.child import Record, serve_once
from ..workers.process import ChildProcess, exit_text
from .optimized import write_optimized

_COMMAND = (sys.executable, "-m", "ddim_edge.runtime.sessions.writer")


def write_apart(graph: Path, folder: Path) -> None:
    """Write the optimized graph into ``folder``, in a process of its own.

    Raises OutputError or BuildError with the reason where that fails.
    """
    worker = ChildProcess(_COMMAND)
    try:
        worker.send({"graph": str(graph), "folder": str(folder)}, last=True)
        code = worker.wait() or 0
        response = worker.last_response() or {}
        if "full" in response:
            raise OutputError(response["full"])
        if code:
            reason = response.get("error") or f"{exit_text(code)}: {worker.last_error_line() or 'no message'}"
            raise BuildError(f"writing {graph.parent.name}: {reason}")
    finally:
        worker.kill()


def respond(request: Mapping[str, Any]) -> Record:
    """Write ``request["graph"]``; the response has the reason where it cannot be written to disk."""
    try:
        write_optimized(Path(request["graph"]), Path(request["folder"]))
    except OutputError as error:
        return {"full": str(error)}
    return {}


if __name__ == "__main__":
    serve_once(respond)
