"""A worker that does what a device with a broken driver may do, by the number of threads: crash, hang, or go wrong."""

import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from ddim_edge.benchmark.network_worker import open_network
from ddim_edge.runtime.workers.child import Record, Respond, serve

CRASHES, HANGS, IS_WRONG = 2, 3, 4


def open_faulty(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """As ``open_network``, with the fault that the number of threads names."""
    threads = settings["device"]["threads"]
    if threads == CRASHES:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    if threads == HANGS:
        threading.Event().wait()
    facts, respond = open_network(settings)
    return (facts | {"difference": 0.5} if threads == IS_WRONG else facts), respond


if __name__ == "__main__":
    serve(open_faulty)
