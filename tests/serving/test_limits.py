"""What the server does when it is asked too much, too long, or in vain."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from ddim_edge.serving import Settings, create_app

from .gate import Exchange, Gate

PATH = "/v1/images/generations"
CAT = {"prompt": "cat", "num_inference_steps": 9, "seed": 1}


def gated(bundle: Path, clock: Any = None, **options: Any) -> tuple[FastAPI, Gate]:
    now = [0.0] if clock is None else clock
    app = create_app({"tiny": bundle}, Settings(**options), clock=lambda: now[0])
    return app, Gate(app.state.engine, "tiny")


async def come(gate: Gate) -> None:
    await asyncio.to_thread(gate.wait)


def test_one_too_many_is_told_to_come_again(tiny_bundle: Path) -> None:
    app, gate = gated(tiny_bundle, max_rows=1, max_queue=1)

    async def scenario() -> None:
        async with app.state.engine:
            runs = Exchange(app, PATH, CAT)
            await come(gate)
            waits = Exchange(app, PATH, CAT)
            while app.state.engine.engine_thread.queued == 0:
                await asyncio.sleep(0)
            assert "ddim_edge_running_requests 1.0" in app.state.engine.metrics.text().decode()
            refused = Exchange(app, PATH, CAT)
            await refused.task
            assert refused.status == 429
            assert refused.headers["retry-after"] in ("1", "2", "3")
            assert (refused.error["code"], refused.error["type"]) == ("queue_full", "rate_limit_error")
            gate.let(18)
            await asyncio.gather(runs.task, waits.task)
            assert (runs.status, waits.status) == (200, 200)

    asyncio.run(scenario())
    text = app.state.engine.metrics.text().decode()
    assert 'ddim_edge_rejected_total{reason="queue_full"} 1.0' in text
    assert 'ddim_edge_queue_seconds_count{model="tiny"} 2.0' in text
    assert "ddim_edge_running_requests 0.0" in text


@pytest.mark.parametrize(("asked", "late"), [({}, 30.0), ({"timeout_s": 5}, 5.0), ({"timeout_s": 1e6}, 30.0)])
def test_a_deadline_passes(tiny_bundle: Path, asked: dict[str, Any], late: float) -> None:
    now = [0.0]
    app, gate = gated(tiny_bundle, now, timeout_s=30.0)

    async def scenario() -> None:
        async with app.state.engine:
            exchange = Exchange(app, PATH, {**CAT, **asked})
            await come(gate)
            now[0] = late - 0.1
            gate.let()
            await come(gate)
            now[0] = late
            gate.let()
            await exchange.task
            assert (exchange.status, exchange.error["code"]) == (504, "deadline_passed")

    asyncio.run(scenario())
    assert gate.calls == [1, 1]


@pytest.mark.parametrize("body", [CAT, {**CAT, "stream": True}, {**CAT, "stream": True, "partial_images": 3, "n": 2}])
def test_who_goes_away_is_worked_for_no_longer(tiny_bundle: Path, body: dict[str, Any]) -> None:
    app, gate = gated(tiny_bundle, max_rows=1)

    async def scenario() -> None:
        async with app.state.engine:
            exchange = Exchange(app, PATH, body)
            await come(gate)
            (submission,) = app.state.engine.scheduler.submissions()
            exchange.leave()
            await asyncio.wait([exchange.task])
            gate.let()
            other = Exchange(app, PATH, {**CAT, "num_inference_steps": 2})
            await come(gate)
            assert submission.state == "cancelled"
            gate.let(2)
            await other.task
            assert other.status == 200

    asyncio.run(scenario())
    assert gate.calls == [1, 1, 1]


def test_one_that_waits_can_go_away_too(tiny_bundle: Path) -> None:
    app, gate = gated(tiny_bundle, max_rows=1)

    async def scenario() -> None:
        async with app.state.engine:
            runs = Exchange(app, PATH, {**CAT, "num_inference_steps": 2})
            await come(gate)
            waits = Exchange(app, PATH, CAT)
            while app.state.engine.engine_thread.queued == 0:
                await asyncio.sleep(0)
            waits.leave()
            await asyncio.wait([waits.task])
            gate.let(2)
            await runs.task
            assert runs.status == 200

    asyncio.run(scenario())
    assert gate.calls == [1, 1]


def test_a_server_that_stops_finishes_what_runs_and_takes_nothing_more(tiny_bundle: Path) -> None:
    app, gate = gated(tiny_bundle)

    async def scenario() -> None:
        async with app.state.engine as engine:
            runs = Exchange(app, PATH, {**CAT, "num_inference_steps": 3})
            await come(gate)
            engine.engine_thread.start_draining()
            refused = Exchange(app, PATH, CAT)
            await refused.task
            assert (refused.status, refused.error["code"]) == (503, "draining")
            assert refused.headers["retry-after"] == "5"
            gate.let(3)
            await runs.task
            assert runs.status == 200

    asyncio.run(scenario())


def test_a_server_that_may_wait_no_longer_cancels_what_runs(tiny_bundle: Path) -> None:
    app, gate = gated(tiny_bundle, drain_s=3600.0)

    async def scenario() -> None:
        async with app.state.engine as engine:
            runs = Exchange(app, PATH, CAT)
            await come(gate)
            engine.engine_thread._draining_since = time.monotonic() - 3600  # it has been stopping for an hour
            closing = asyncio.ensure_future(engine.aclose())
            while not engine.engine_thread._aborting:
                await asyncio.sleep(0)
            gate.let()
            await closing
            await runs.task
            assert (runs.status, runs.error["code"]) == (503, "draining")

    asyncio.run(scenario())
    assert gate.calls == [1]


def test_who_goes_away_in_the_middle_of_a_form_is_no_fault_of_ours(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = gated(tiny_bundle)

    async def scenario() -> None:
        async with app.state.engine:
            exchange = Exchange(app, "/v1/images/edits", b"--x\r\n", "multipart/form-data; boundary=x", whole=False)
            exchange.leave()
            await exchange.task
            assert exchange.status == 499

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
