"""A process of ``ddim-edge serve --workers``: the program that ``serve_workers.py`` starts."""

import os
import pickle
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Sequence
from functools import partial

from ..serving import Settings, create_app
from ..serving.server import serve
from ..text import TruncationWarning
from . import exit_code


def main(arguments: Sequence[str]) -> int:
    """Serve on the socket of the first descriptor; write a byte to the second one when the server is ready."""
    listener, pipe = map(int, arguments)
    return exit_code(partial(_serve, listener, pipe))


def _serve(listener: int, pipe: int) -> int:
    models, settings = read_order()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if not settings.log_prompts:  # the warning quotes the words that were cut off
        warnings.simplefilter("ignore", TruncationWarning)
    # With the protocol named, asyncio sets TCP_NODELAY also where the system does not report it.
    with socket.socket(proto=socket.IPPROTO_TCP, fileno=listener) as accepting:
        app = create_app(models, settings)
        return serve(app, accepting, accepted_at_once=1, on_ready=partial(_say_ready, pipe))


def order_of(models: Sequence[str], settings: Settings) -> bytes:
    """What a process is to serve, as ``read_order`` reads it."""
    order = pickle.dumps((models, settings))
    return b"%d\n%b" % (len(order), order)


def read_order() -> tuple[Sequence[str], Settings]:
    """Read models and settings from the standard input, which the parent leaves open."""
    length = int(sys.stdin.buffer.readline())
    models, settings = pickle.loads(sys.stdin.buffer.read(length))
    return models, settings


def _say_ready(pipe: int) -> None:
    os.write(pipe, b"1")
    os.close(pipe)


def _end_with_parent() -> None:
    """Drain as after SIGTERM when the parent has ended in any way, which closes the standard input."""
    os.read(sys.stdin.fileno(), 1)  # not through its buffer, whose lock the interpreter needs at its end
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
