"""Requests with a deep cache in the server: what they cost, what they hold, and whom they share calls with."""

from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.networks.row import RowCount
from ddim_edge.serving.scheduling.admission import Admission
from ddim_edge.serving.scheduling.async_engine import AsyncEngine
from ddim_edge.serving.scheduling.order import by_rank
from ddim_edge.serving.scheduling.pace import Pace
from ddim_edge.serving.scheduling.row_limit import RowLimit
from tests.serving.scheduling.desk import Desk


def test_requests_with_and_without_it_share_calls_and_end_as_alone(deep_bundle: Path) -> None:
    desk = Desk(deep_bundle)
    caches = ["off", "deep:2", "deep:4"]
    asked = [desk.ask("deep", labels=["cat"], num_steps=4, cache=cache, seed=at) for at, cache in enumerate(caches)]
    desk.loaded_model("deep").limit.rows = 16
    desk.turn(4)
    assert desk.rows == [3, 1, 2, 1]
    assert [rows for _, rows in desk.shallow_calls] == [2, 1, 2]
    pipeline = ddim_edge.load(deep_bundle, "cpu")
    for at, each in enumerate(asked):
        assert each.submission.state == "done"
        wanted = pipeline.generate(labels=["cat"], num_steps=4, cache=caches[at], seed=at, num_images=1)
        np.testing.assert_array_equal(each.images, wanted.images)


def test_the_calls_of_each_kind_keep_the_limit_of_rows(deep_bundle: Path) -> None:
    desk = Desk(deep_bundle, max_rows=4)
    desk.ask("deep", labels=["cat"], num_images=9, num_steps=6, cache="deep:2")
    desk.ask("deep", labels=["dog"], num_images=9, num_steps=6, cache="deep:3", guidance_scale=2.0)
    desk.turn(40)
    assert max(desk.rows) == max(rows for _, rows in desk.shallow_calls) == 4
    assert sum(desk.rows) == 9 * 3 + 9 * 2 * 2
    assert sum(rows for _, rows in desk.shallow_calls) == 9 * 3 + 9 * 2 * 4


def test_the_rows_of_each_kind_are_counted_down(deep_bundle: Path) -> None:
    desk = Desk(deep_bundle)
    submission = desk.ask(
        "deep", labels=["cat"], num_images=2, num_steps=6, cache="deep:3", guidance_scale=2.0
    ).submission
    left = [submission.rows_of_each_kind_left]
    for _ in range(6):
        desk.turn()
        left.append(submission.rows_of_each_kind_left)
        assert sum(left[-1]) == submission.rows_left
    assert left == [(8, 16), (6, 16), (6, 14), (6, 12), (4, 12), (4, 10), (4, 8)] or left[0] == (8, 16)
    desk.turn(20)
    assert submission.rows_of_each_kind_left == RowCount(0, 0)
    assert submission.finished_shallow_calls == 8


def test_a_cached_request_has_less_work_than_an_uncached_one_of_fewer_steps(deep_bundle: Path) -> None:
    desk = Desk(deep_bundle)
    plain, cached = (
        desk.ask("deep", labels=["cat"], num_steps=steps, cache=cache).submission
        for steps, cache in ((20, "off"), (30, "deep:3"))
    )
    assert by_rank([plain, cached], 0) == [cached, plain]
    assert [plain.rank, cached.rank] == pytest.approx([20, 10 + 0.1 * 20])


def test_the_pace_of_each_kind_is_measured_apart(deep_bundle: Path) -> None:
    desk, pace = Desk(deep_bundle), Pace()
    pace.observe("deep", 2, 2.0)
    pace.observe("deep", 4, 0.4, shallow=True)
    cached = desk.ask("deep", labels=["cat"], num_steps=30, cache="deep:3").submission
    assert pace.seconds_left([cached]) == pytest.approx(10 * 1.0 + 20 * 0.1)
    Admission(1, 1, pace).take("deep", None)


def test_the_memory_that_rows_keep_is_within_the_budget() -> None:
    memory = {"used": 1000}
    limits = [RowLimit(64, 5000, lambda: memory["used"], kept_row) for kept_row in (0, 300)]
    memory["used"] = 1200
    for limit in limits:
        for _ in range(6):
            limit.after_call(2, 100)
    # 1000 + 2 * 200 * rows / 2 <= 5000; with 300 more for each row
    assert [limit.rows for limit in limits] == [16, 8]


def test_metrics_tell_the_two_kinds_apart(deep_bundle: Path) -> None:
    engine = AsyncEngine({"deep": deep_bundle})
    engine._on_call("deep", 4, 0.5, False)
    engine._on_call("deep", 8, 0.25, True)
    text = engine.metrics.text().decode()
    assert 'ddim_edge_step_seconds_sum{model="deep"} 0.5' in text
    assert 'ddim_edge_batch_rows_sum{model="deep"} 4.0' in text
    assert 'ddim_edge_shallow_step_seconds_sum{model="deep"} 0.25' in text
