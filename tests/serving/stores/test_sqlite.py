"""What a SQLite file keeps, and who makes the jobs of a process that has died."""

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ddim_edge.serving import Settings, create_app
from ddim_edge.serving.errors import NotFound
from ddim_edge.serving.stores import jobs
from ddim_edge.serving.stores.client_limit import ClientLimit
from ddim_edge.serving.stores.jobs import LEASE_S, MOST_ATTEMPTS, End, Order, Report
from ddim_edge.serving.stores.memory import Limits
from ddim_edge.serving.stores.sqlite import SqliteImages, SqliteJobs
from ddim_edge.serving.stores.sqlite_file import SqliteFile
from tests.helpers.command_line import Invoke
from tests.serving.live import wait_until

LIMITS = Limits(100.0, 100, 2**20)
BODY = {"prompt": "cat", "num_inference_steps": 5, "seed": 1}
ORDER = Order("job-1", "tiny", BODY, "request-1", int(time.time()), "http://testserver", 5)
LIMIT = ClientLimit(48)
DONE = End("done", 5, {"data": []})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddim_edge.serving.stores.sqlite.BEAT_S", 0.0)


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(tmp_path: Path, clock: Clock, limits: Limits = LIMITS) -> SqliteJobs:
    return SqliteJobs(SqliteFile(tmp_path / "store.db", clock), limits)


def test_a_job_is_taken_over_by_one_process_when_its_lease_has_passed(tmp_path: Path) -> None:
    asyncio.run(_take_over(tmp_path))


async def _take_over(tmp_path: Path) -> None:
    clock = Clock()
    dead, one, other = (opened(tmp_path, clock) for _ in range(3))
    await dead.add(ORDER, LIMIT)
    assert not await dead.report({ORDER.id: Report("running", 3)})
    clock.now = LEASE_S - 1
    assert await one.claim(["tiny"], 8) == []
    clock.now = LEASE_S
    assert await one.claim(["other"], 8) == []
    assert await one.claim(["tiny"], 8) == [ORDER]
    assert await other.claim(["tiny"], 8) == []
    assert await dead.report({ORDER.id: Report("running", 4)}) == [ORDER.id]
    assert not await one.report({ORDER.id: Report("running", 1)})
    assert (await other.get(ORDER.id)).now == Report("running", 1)
    assert await one.end(ORDER.id, DONE)
    assert not await dead.end(ORDER.id, End("failed", 1))
    assert (await other.get(ORDER.id)).now == DONE


def test_a_job_that_ends_every_process_is_given_up(tmp_path: Path) -> None:
    asyncio.run(_give_up(tmp_path))


async def _give_up(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock)
    await store.add(ORDER, LIMIT)
    for _ in range(MOST_ATTEMPTS - 1):
        clock.now += LEASE_S
        assert await store.claim(["tiny"], 8) == [ORDER]
    clock.now += LEASE_S
    assert await store.claim(["tiny"], 8) == []
    assert (await store.get(ORDER.id)).now == jobs.lost(0)


def test_ended_jobs_and_images_are_kept_within_limits(tmp_path: Path) -> None:
    asyncio.run(_keep(tmp_path))


async def _keep(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock, Limits(10.0, 2, 2**20))
    ids = [f"job-{number}" for number in range(4)]
    for job_id in ids:
        await store.add(replace(ORDER, id=job_id), LIMIT)
    for job_id in ids[:3]:
        await store.end(job_id, DONE)
    assert [await _known(store, job_id) for job_id in ids] == [False, True, True, True]
    clock.now = 10.0
    assert [await _known(store, job_id) for job_id in ids] == [False, False, False, True]
    images = SqliteImages(SqliteFile(tmp_path / "store.db", clock), Limits(10.0, 10, 3))
    first, second = [await images.add(contents, "png") for contents in (b"ab", b"cde")]
    assert (await images.get(second.rpartition("/")[2])).contents == b"cde"
    with pytest.raises(NotFound):
        await images.get(first.rpartition("/")[2])


async def _known(store: SqliteJobs, job_id: str) -> bool:
    try:
        await store.get(job_id)
    except NotFound:
        return False
    return True


def test_a_server_makes_the_job_of_another_that_died(tmp_path: Path, tiny_bundle: Path) -> None:
    asyncio.run(opened(tmp_path, Clock()).add(ORDER, LIMIT))  # its lease ended in 1970
    with TestClient(create_app({"tiny": tiny_bundle}, Settings(store=f"sqlite:{tmp_path / 'store.db'}"))) as client:
        path = f"/v1/jobs/{ORDER.id}"
        wait_until(lambda: client.get(path).json()["status"] == "done")
        made = client.post("/v1/images/generations", json=BODY).json()
        assert client.get(path).json()["result"]["data"] == made["data"]


def test_a_store_that_cannot_be_used_is_refused_before_a_model_is_opened(tmp_path: Path, invoke: Invoke) -> None:
    SqliteFile(tmp_path / "other.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("PRAGMA user_version = 7")
    with sqlite3.connect(tmp_path / "foreign.db") as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    foreign = (tmp_path / "foreign.db").read_bytes()
    (tmp_path / "text.db").write_text("This is no database." * 100)
    for store, part in (
        ("sqlite:foreign.db", "version 0, not 1"),
        ("sqlite:other.db", "version 7, not 1"),
        ("sqlite:text.db", "file is not a database"),
        ("sqlite:nowhere/store.db", "unable to open"),
        ("sqlite:", "expected memory, sqlite:FILE"),
        ("mysql://host", "mysql"),
    ):
        assert invoke("serve", "no-such-model", "--store", store).failed_with("--store", part)
    assert (tmp_path / "foreign.db").read_bytes() == foreign
