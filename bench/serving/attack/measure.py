"""The honest client alone and under each attack, and the state of the server before and after it."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.runtime.workers.parent import Worker

from ... import tables
from ...results import Record
from ..batches import MODEL
from ..client import Outcome, open_client, post, replay
from ..processes import Server, ours
from ..trace import Ask
from . import payloads
from .attacks import ATTACKS, described
from .decoder import BROKEN_MODEL, write_broken_model
from .verdict import DRAIN_S, HONEST_TIMEOUT_S, broken_promises, is_recovered, percentiles

SUBJECT = "serving_attack"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "pillow", "fastapi", "uvicorn")
ALONE_S, ATTACK_S = 12, 24
NUM_STEPS = 20
"""Of each honest request, which is for one image."""
OPEN_FILES = 1024
RECOVERY_S = 20.0
_SAMPLE_S = 0.2
_WARM_UP_REQUESTS = 3


@dataclass(frozen=True)
class State:
    """The memory of the server and of the processes below it, and its open files."""

    memory_mib: int
    open_files: int


def measure(only: str | None, notify: Notify) -> Record:
    """A row for each attack, or for ``only`` that one, in which case nothing is written."""
    rows = dict[str, Record]()
    with tempfile.TemporaryDirectory() as folder:
        broken = write_broken_model(Path(folder) / BROKEN_MODEL)
        for name in ATTACKS if only is None else [only]:
            notify(f"{name}: {described(name)}")
            rows[name] = _row(name, broken)
    record = {"alone_s": ALONE_S, "attack_s": ATTACK_S, "num_steps": NUM_STEPS, "rows": rows}
    if only is None:
        tables.publish(SUBJECT, record, PACKAGES)
    return record


def _row(name: str, broken: Path) -> Record:
    options = (MODEL, f"{BROKEN_MODEL}={broken}", "--drain", f"{DRAIN_S:g}")
    with ours(*options, name=f"attack-{name}", open_files=OPEN_FILES) as server:
        found = asyncio.run(_run(name, server))
        began = time.monotonic()
        exit_code = server.stop()
        end = {"stop_s": round(time.monotonic() - began, 2), "exit_code": exit_code}
        row = {"what": described(name), **found, **end, "log_mib": round(server.log.stat().st_size / 2**20, 3)}
    return {**row, "broken": broken_promises(row)}


async def _run(name: str, server: Server) -> Record:
    worker = Worker("bench.serving.attack.attacker", {"name": name, "port": server.port})
    try:
        await asyncio.to_thread(worker.ready)
        await _warm_up(server)
        alone = await _honest(server, ALONE_S)
        before = _state(server)
        async with _peak(server) as samples:
            attack = asyncio.create_task(asyncio.to_thread(worker.ask, seconds=ATTACK_S))
            attacked = await _honest(server, ATTACK_S)
            attackers = await attack
            after, healthy = await _recovered(server, before)
    finally:
        await asyncio.to_thread(worker.stop)
    return {
        "alone": percentiles(alone),
        "attacked": percentiles(attacked),
        "lost": sum(each.status != 200 for each in attacked),
        "memory_mib": [before.memory_mib, max(samples), after.memory_mib],
        "open_files": [before.open_files, after.open_files],
        "healthy": healthy,
        **attackers,
    }


async def _warm_up(server: Server) -> None:
    """Both kinds of requests, so that whatever the server opens at their first use is open."""
    picture = payloads.photograph(64)
    async with open_client() as client:
        for number in range(_WARM_UP_REQUESTS):
            response = await client.post(f"{server.address}/v1/images/edits", files={"image": picture})
            response.raise_for_status()
            await post(client, server.url, _asks(number + 1)[-1])


async def _honest(server: Server, seconds: int) -> Sequence[Outcome]:
    """One request every second, each on a connection of its own."""
    return await replay(server.url, _asks(seconds), 1.0, HONEST_TIMEOUT_S, keep_alive=False)


def _asks(count: int) -> list[Ask]:
    return [Ask(float(number), NUM_STEPS, (number % 10,), number) for number in range(count)]


def _state(server: Server) -> State:
    return State(server.tree_rss_kib() // 1024, server.open_files())


@contextlib.asynccontextmanager
async def _peak(server: Server) -> AsyncIterator[list[int]]:
    """Samples of the server's memory in MiB, until the end of the block."""
    samples = [server.tree_rss_kib() // 1024]

    async def sample() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_S)
            samples.append(server.tree_rss_kib() // 1024)

    sampling = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        sampling.cancel()


async def _recovered(server: Server, before: State) -> tuple[State, bool]:
    """The state when it is near ``before`` again, at the latest after RECOVERY_S, and whether the server is healthy."""
    deadline = time.monotonic() + RECOVERY_S
    after, healthy = State(0, 0), False
    while server.alive and time.monotonic() < deadline:
        healthy, after = await _is_healthy(server), _state(server)
        if healthy and is_recovered(before.memory_mib, after.memory_mib, before.open_files, after.open_files):
            break
        await asyncio.sleep(_SAMPLE_S)
    return after, healthy


async def _is_healthy(server: Server) -> bool:
    async with open_client(RECOVERY_S) as client:
        try:
            ready = await client.get(f"{server.address}/health/ready")
        except httpx2.HTTPError:
            return False
        return ready.status_code == 200 and await post(client, server.url, _asks(1)[0]) == 200
