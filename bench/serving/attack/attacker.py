"""Worker process: one attack, with the lowest priority. See ``ddim_edge/runtime/workers``."""

import asyncio
import contextlib
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddim_edge.runtime.workers.child import Respond, serve

from ...results import Record
from .attacks import ATTACKS, Run
from .visitor import Visitor

_LOWEST_PRIORITY = 19
_TICK_S = 0.1


def open_attacker(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Prepare the attack ``name`` on ``port``; a request runs it for ``seconds``."""
    _lower_priority()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    run = ATTACKS[settings["name"]]()
    return {}, lambda request: asyncio.run(_attack(run, settings["port"], request["seconds"]))


def _lower_priority() -> None:
    """Nice 19, for the process and for its session: with autogroups Linux compares processes of a session alone."""
    os.nice(_LOWEST_PRIORITY)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_LOWEST_PRIORITY))


async def _attack(run: Run, port: int, seconds: float) -> Record:
    """How many connections ended in which way, and how late the attacker was at its worst."""
    loop = asyncio.get_running_loop()
    late = [0.0]

    async def tick() -> None:
        while True:
            due = loop.time() + _TICK_S
            await asyncio.sleep(_TICK_S)
            late.append(loop.time() - due)

    ticking = asyncio.create_task(tick())
    visitor = Visitor(port, loop.time() + seconds)
    await run(visitor)
    ticking.cancel()
    return {"got": dict(visitor.got.most_common()), "late_s": round(max(late), 2)}


if __name__ == "__main__":
    serve(open_attacker)
