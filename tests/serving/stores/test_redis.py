"""Jobs in a real Redis server: who makes them, that each is answered once, and what is refused."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from fastapi.testclient import TestClient

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.errors import NotFound, QueueFull, StoreFailed
from ddim_edge.serving.stores.client_limit import ClientLimit
from ddim_edge.serving.stores.jobs import MOST_ATTEMPTS, End, Order, Report, lost
from ddim_edge.serving.stores.large_values import LargeValues
from ddim_edge.serving.stores.redis_images import RedisImages
from ddim_edge.serving.stores.redis_server import connect
from ddim_edge.serving.stores.redis_store import RedisJobs
from tests.helpers.command_line import Invoke
from tests.serving.live import wait_until
from tests.serving.test_documents import examples

BODY = {"prompt": "bag", "num_inference_steps": 5, "seed": 1}
ORDER = Order("job-1", "tiny", BODY, "request-1", int(time.time()), "http://testserver", 5)
LIMIT = ClientLimit(48)
DONE = End("done", 5, {"data": []})


@pytest.fixture
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease has passed at once."""
    monkeypatch.setattr("ddim_edge.serving.stores.redis_store.LEASE_S", 0.0)
    monkeypatch.setattr("ddim_edge.serving.stores.redis_store.BEAT_S", 0.0)


def opened(url: str, most_waiting: int = 8) -> RedisJobs:
    return RedisJobs(connect(url), 100.0, 100.0, most_waiting, LargeValues())


async def claimed(store: RedisJobs) -> list[Order]:
    """The orders of the store, when there are some."""
    async with asyncio.timeout(30):
        while not (orders := await store.claim(["tiny"], 8)):
            pass
    return orders


@pytest.mark.usefixtures("_short_lease")
def test_a_job_is_taken_over_and_its_first_end_counts(redis_url: str) -> None:
    asyncio.run(_take_over(redis_url))


async def _take_over(url: str) -> None:
    front, dead, other = (opened(url) for _ in range(3))
    await front.add(ORDER, LIMIT)
    assert await dead.claim(["another"], 8) == []
    assert await claimed(dead) == [ORDER]
    assert not await dead.report({ORDER.id: Report("running", 3)})
    assert (await front.get(ORDER.id)).now == Report("running", 3)
    assert await claimed(other) == [ORDER]
    assert await dead.report({ORDER.id: Report("running", 4)}) == {ORDER.id}
    assert await other.end(ORDER.id, DONE)
    assert not await dead.end(ORDER.id, End("failed", 1))
    assert (await front.get(ORDER.id)).now == DONE
    assert await dead.claim(["tiny"], 8) == []
    await front.delete(ORDER.id)
    with pytest.raises(NotFound):
        await front.get(ORDER.id)


@pytest.mark.usefixtures("_short_lease")
def test_a_job_that_ends_every_process_is_given_up(redis_url: str) -> None:
    asyncio.run(_give_up(redis_url))


async def _give_up(url: str) -> None:
    store = opened(url)
    await store.add(ORDER, LIMIT)
    for _ in range(MOST_ATTEMPTS):
        assert await claimed(opened(url)) == [ORDER]
    while not (await store.get(ORDER.id)).ended:
        assert await store.claim(["tiny"], 8) == []
    assert (await store.get(ORDER.id)).now == lost(0)


def test_a_job_that_was_cancelled_before_it_began_is_not_made(redis_url: str) -> None:
    asyncio.run(_cancel(redis_url))


async def _cancel(url: str) -> None:
    front, worker = opened(url, most_waiting=1), opened(url)
    await front.add(ORDER, LIMIT)
    with pytest.raises(QueueFull):
        await front.add(ORDER, LIMIT)
    await front.end(ORDER.id, End("cancelled", 0))
    assert await worker.claim(["tiny"], 8) == []
    with redis.Redis.from_url(url) as client:
        assert client.xlen("ddim-edge:jobs:tiny") == 0


@pytest.mark.usefixtures("_short_lease")
def test_an_entry_that_was_removed_from_the_stream_is_passed_over(redis_url: str) -> None:
    asyncio.run(_pass_over(redis_url))


async def _pass_over(url: str) -> None:
    dead, other = opened(url), opened(url)
    await dead.add(ORDER, LIMIT)
    assert await claimed(dead) == [ORDER]
    with redis.Redis.from_url(url) as client:
        client.xtrim("ddim-edge:jobs:tiny", maxlen=0, approximate=False)
        await dead.add(replace(ORDER, id="job-2"), LIMIT)
        assert [order.id for order in await claimed(other)] == ["job-2"]
        assert names(url) == {dead._owner: 0, other._owner: 1}


@pytest.mark.parametrize("idle_s", [0.0, 60.0])
def test_a_name_without_jobs_is_removed_when_it_is_idle(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, idle_s: float
) -> None:
    monkeypatch.setattr("ddim_edge.serving.stores.redis_consumers.IDLE_S", idle_s)
    asyncio.run(_remove_names(redis_url, is_idle=idle_s == 0))


async def _remove_names(url: str, *, is_idle: bool) -> None:
    idle, busy, other = (opened(url) for _ in range(3))
    await idle.add(ORDER, LIMIT)
    assert await claimed(idle) == [ORDER]
    await idle.end(ORDER.id, DONE)
    assert names(url) == {idle._owner: 0}
    await busy.add(replace(ORDER, id="job-2"), LIMIT)
    assert len(await claimed(busy)) == 1
    assert await other.claim(["tiny"], 8) == []
    assert names(url) == {busy._owner: 1} | ({} if is_idle else {idle._owner: 0})


def names(url: str) -> dict[str, int]:
    """The number of jobs that each process holds, by its name in the stream."""
    with redis.Redis.from_url(url) as client:
        found = client.xinfo_consumers("ddim-edge:jobs:tiny", "makers")
        return {consumer["name"].decode(): consumer["pending"] for consumer in found}


def test_a_server_that_goes_is_an_error_of_its_own() -> None:
    async def ask() -> None:
        await RedisImages(redis.asyncio.Redis.from_url("redis://127.0.0.1:1"), 1.0, LargeValues()).get("name.png")

    with pytest.raises(StoreFailed):
        asyncio.run(ask())


def test_a_store_that_cannot_be_used_is_refused_before_a_model_is_opened(redis_url: str, invoke: Invoke) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("ddim-edge:schema", "7")
    for command in (["serve"], ["worker"]):
        for store, part in (
            (redis_url, "version 7, not 1"),
            ("redis://:secret@127.0.0.1:1", "Connection refused"),
            ("redis://127.0.0.1:port", "not valid"),
            ("mysql://host", "mysql"),
        ):
            outcome = invoke(*command, "no-such-model", "--store", store)
            assert outcome.failed_with("--store", part)
            assert "secret" not in outcome.err
    assert invoke("worker", "no-such-model", "--store", "memory").failed_with("--store", "redis://")
    assert invoke("serve", "no-such-model", "--no-jobs").failed_with("--no-jobs", "redis://")


def test_the_documents_commands_open_their_store(redis_url: str, tmp_path: Path, invoke: Invoke) -> None:
    lines = [line for block in examples("docs/server.md", "redis://", "bash") for line in block.splitlines()]
    assert len(lines) >= 3
    for line in lines:
        line = line.replace("redis://localhost:6379", redis_url).replace("s3://bucket/images/", str(tmp_path))
        program, *words = line.replace("fashion-mnist", "no-such-model").split()
        assert (program, invoke(*words).failed_with("no-such-model")) == ("ddim-edge", True)


def test_without_its_package_it_names_the_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['redis'] = None; from ddim_edge.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--store", "redis://localhost"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "pip install 'redis>=5.1'" in done.stderr) == (2, True)
    assert len(done.stderr.splitlines()) == 1


SHORT_LEASE = """
from ddim_edge.cli import main
from ddim_edge.serving.stores import redis_store

redis_store.LEASE_S = 4.0
main()
"""


@pytest.mark.slow
def test_a_worker_is_killed_and_another_makes_its_job(redis_url: str) -> None:
    command = [sys.executable, "-c", SHORT_LEASE, "worker", "fashion-mnist", "--store", redis_url]
    app = create_app(["fashion-mnist"], Settings(store=redis_url, make_jobs=False, preload=False))
    with TestClient(app) as client, redis.Redis.from_url(redis_url) as store:
        body = {"prompt": "bag", "num_inference_steps": 400, "sampler": "ddim", "seed": 1}
        job = client.post("/v1/jobs", json=body).json()["id"]
        with _process(command) as first:
            wait_until(lambda: store.hexists(f"ddim-edge:job:{job}", "owner"))
            first.kill()
        assert client.get(f"/v1/jobs/{job}").json()["status"] in ("queued", "running")
        with _process(command) as second:
            wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "done")
            second.send_signal(signal.SIGTERM)
            assert second.wait(30) == 0
        assert store.hget(f"ddim-edge:job:{job}", "attempts") == b"2"
        assert store.xlen("ddim-edge:jobs:fashion-mnist") == 0


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()
