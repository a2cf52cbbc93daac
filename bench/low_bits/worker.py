"""A process that opens one graph on the CPU, and times a recorded call when it is asked to."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import ddim_edge
from ddim_edge.runtime.workers.child import Record, Respond, serve

from ..full_size.measure import memory


def open_graph(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Opens ``graph``. Each request makes the next of ``calls``; its output goes to the folder ``out``."""
    session = ddim_edge.Session(Path(settings["graph"]), "cpu")
    opened = memory(os.getpid())[0]
    remaining = iter(range(1_000_000))

    def call(_request: Mapping[str, Any]) -> Record:
        number = next(remaining)
        with np.load(settings["calls"][number % len(settings["calls"])]) as stored:
            feeds = dict(stored)
        began = time.perf_counter()
        output = next(iter(session.run(feeds).values()))
        seconds = time.perf_counter() - began
        np.save(Path(settings["out"]) / f"{number}.npy", output)
        return {"seconds": seconds, "private_mib": round(memory(os.getpid())[0] / 2**20)}

    return {"private_mib": round(opened / 2**20)}, call


if __name__ == "__main__":
    serve(open_graph)
