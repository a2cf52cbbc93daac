"""Accepting connections within the limit of open files, and without a flood of log lines where it is reached."""

import errno
import logging
import sys
import time
from asyncio import AbstractEventLoop
from typing import Any

LOG = logging.getLogger("ddim_edge.serving")
ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before the limit of connections is looked at."""
_OTHER_FILES = 3 * ACCEPTED_AT_ONCE
"""Open files kept for other things: models, workers, and connections being accepted and closed."""
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_QUIET_S = 60.0


def most_connections(wanted: int) -> int:
    """The limit of connections: ``wanted``, or fewer where the process may not open so many files."""
    most = min(wanted, max(1, _open_files_limit() - _OTHER_FILES))
    if most < wanted:
        LOG.warning("at most %d connections at once, because the limit of open files (ulimit -n) is low", most)
    return most


def _open_files_limit() -> int:
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


class QuietAccepting:
    """asyncio's exception handler; a connection that cannot be accepted is logged in one line, once a minute."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log the error."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _NO_FILES:
            return loop.default_exception_handler(context)
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _QUIET_S
            LOG.error("connections cannot be accepted: %s", error.strerror)
        return None
