"""``serve --workers``: what is refused, what each process gets, and two real processes with one store."""

import contextlib
import os
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ddim_edge.cli import serve_workers
from ddim_edge.cli.serve_workers import environment_of, with_share
from ddim_edge.runtime.hardware import cpu
from ddim_edge.serving import Settings
from tests.helpers.command_line import COMMAND, Invoke
from tests.serving.live import wait_until
from tests.serving.test_documents import examples

PATH = "/v1/images/generations"
ASKED = 24


def test_what_is_refused(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("0", "-1", "two"):
        assert invoke("serve", "no-such-model", "--workers", number).failed_with("--workers")
    monkeypatch.setattr(serve_workers, "processors", lambda: 2)
    store = ("--store", "sqlite:store.db")
    assert invoke("serve", "no-such-model", "--workers", "3", *store).failed_with("--workers 3", "2 processors")
    assert invoke("serve", "no-such-model", "--workers", "2").failed_with("--workers 2", "--store sqlite:FILE")
    monkeypatch.setenv("DDIM_EDGE_SERVE_WORKERS", "2")
    assert invoke("serve", "no-such-model").failed_with("--store sqlite:FILE")


def test_the_share_of_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[cpu.Cpu] = [cpu.Cpu(8, 8)]
    monkeypatch.setattr(cpu, "describe", lambda **_: described[-1])
    assert environment_of(2, {"A": "b"}) == {"A": "b", "OMP_NUM_THREADS": "4"}
    assert environment_of(3, {}) == {"OMP_NUM_THREADS": "2"}
    assert environment_of(16, {}) == {"OMP_NUM_THREADS": "1"}
    described += [cpu.Cpu(8, 8, quota=4.0)]
    assert environment_of(2, {}) == {"OMP_NUM_THREADS": "2"}
    described += [cpu.Cpu(8, 8, asked=8)]
    assert environment_of(2, {"OMP_NUM_THREADS": "8"}) == {"OMP_NUM_THREADS": "8"}
    described += [cpu.Cpu(None, None)]
    assert environment_of(2, {}) == {}
    monkeypatch.setattr(serve_workers, "budget_bytes", lambda: 1000)
    assert with_share(Settings(), 4).max_memory_bytes == 250
    assert with_share(Settings(max_memory_bytes=7), 4).max_memory_bytes == 7
    monkeypatch.setattr(serve_workers, "budget_bytes", lambda: None)
    assert with_share(Settings(), 4) == Settings()


two_processors = pytest.mark.skipif(serve_workers.processors() < 2, reason="needs two processors")


@two_processors
@pytest.mark.slow
def test_what_cannot_be_served_is_said_once(in_process: Invoke) -> None:
    outcome = in_process("serve", "no-such-model", "--workers", "2", "--store", "sqlite:store.db", "--port", "0")
    assert outcome.failed_with("no model 'no-such-model'")
    assert len(outcome.err.splitlines()) == 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Two processes, and their address."""
    (line,) = examples("docs/server.md", "--workers", "sh")
    command = [*COMMAND, *shlex.split(line)[1:], "--port", "0"]
    log = tmp_path / "log"
    with log.open("w") as file, subprocess.Popen(command, cwd=tmp_path, stderr=file, text=True) as process:
        try:
            wait_until(lambda: "listens" in log.read_text(), 120)
            yield process, log.read_text().splitlines()[0].split()[-1]
        finally:
            process.terminate()
            assert process.wait(120) == 0
        assert log.read_text().count("listens") == 1


@two_processors
@pytest.mark.slow
def test_two_processes_answer_for_each_other_and_replace_one_that_is_killed(
    server: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = server
    bodies = [{"prompt": "bag", "seed": seed, "num_inference_steps": 5} for seed in range(ASKED)]
    with httpx2.Client(base_url=address, limits=httpx2.Limits(max_keepalive_connections=0), timeout=60) as client:
        while makers(tmp_path) < 2:  # the second one starts when the first is ready
            wait_for_jobs(client, [post_job(client, bodies[0])])
        answers = [client.post(PATH, json={**body, "response_format": "url"}).json() for body in bodies]
        urls = [answer["data"][0]["url"] for answer in answers]
        assert [client.get(url).status_code for url in urls * 2] == [200] * 2 * ASKED
        wait_for_jobs(client, [post_job(client, body) for body in bodies])
        jobs = [post_job(client, {**body, "sampler": "ddim", "num_inference_steps": 60}) for body in bodies[:6]]
        killed = children(process.pid)[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(children(process.pid)) == 2 and killed not in children(process.pid))
        wait_for_jobs(client, jobs)


def post_job(client: httpx2.Client, body: dict[str, Any]) -> str:
    return str(client.post("/v1/jobs", json=body).headers["Location"])


def wait_for_jobs(client: httpx2.Client, jobs: list[str]) -> None:
    """Until all are done."""
    for job in jobs:
        wait_until(partial(is_done, client, job), 120)  # jobs of a dead process wait for the end of its lease


def is_done(client: httpx2.Client, job: str) -> bool:
    """Whether a job is done; a connection to the process that is killed may be cut off."""
    with contextlib.suppress(httpx2.TransportError):
        return bool(client.get(job).json()["status"] == "done")
    return False


def makers(folder: Path) -> int:
    """How many processes have made jobs."""
    with contextlib.closing(sqlite3.connect(folder / "jobs.db")) as store:
        return int(store.execute("SELECT count(DISTINCT owner) FROM jobs").fetchone()[0])


def children(pid: int) -> list[int]:
    """The processes that it has started and that run."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
