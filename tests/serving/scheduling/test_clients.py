"""Several clients: one with many requests does not hold up another one."""

import statistics
from pathlib import Path

import pytest

from ddim_edge.serving.scheduling.call_times import CallTimes
from tests.helpers.tiny_bundles import write_bundle
from tests.serving.scheduling.desk import Desk, Seconds


def test_the_many_requests_of_one_client_leave_a_row_to_another(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle, max_rows=4)
    greedy = [desk.ask(client="greedy", num_images=10, num_steps=20) for _ in range(9)]
    desk.turn(3)
    assert sum(each.submission.state == "running" for each in greedy) == 4
    modest = desk.ask(client="modest", num_steps=5)
    desk.turn(5)
    assert modest.error is None
    assert max(desk.rows) == 4
    assert sum(each.submission.state == "queued" for each in greedy) == 5


def test_the_second_request_of_a_client_waits_for_its_turn(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle, max_rows=2)
    for _ in range(3):
        desk.ask(client="greedy", num_steps=20)
    desk.turn(2)
    first, second = desk.ask(client="modest", num_steps=5), desk.ask(client="modest", num_steps=5)
    third = desk.ask(client="third", num_steps=5)
    desk.turn()
    states = [each.submission.state for each in (first, second, third)]
    assert states == ["running", "queued", "queued"]  # two rows: one for each of two clients


def test_rows_that_are_left_over_go_to_who_has_more(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle, max_rows=4)
    first, second = desk.ask(client="one", num_images=9, num_steps=8), desk.ask(client="one", num_images=9, num_steps=8)
    other = desk.ask(client="other", num_steps=8)
    desk.turn(4)
    assert desk.rows[2:] == [4, 4]
    assert other.submission.calls == 4
    assert abs(first.submission.calls - second.submission.calls) <= 4


@pytest.mark.parametrize(("seconds", "rows"), [(float, 2), (lambda rows: 1 + rows / 16, 8)], ids=["CPU", "GPU"])
def test_more_rows_of_one_client_join_only_where_they_pay(tiny_bundle: Path, seconds: Seconds, rows: int) -> None:
    desk = Desk(tiny_bundle, max_rows=8, seconds=seconds)
    desk.ask(client="greedy", num_images=10, num_steps=50)
    desk.turn(4)
    assert desk.rows[-1] == 8
    modest = desk.ask(client="modest", num_steps=20)
    desk.turn(20)
    assert modest.error is None
    assert statistics.mode(desk.rows[-18:]) == rows
    desk.turn()
    assert desk.rows[-1] == 8


def test_calls_of_every_size_are_measured_before_they_are_compared() -> None:
    times = CallTimes()
    assert times.rows_that_pay(2, 8) == 8
    _observe(times, 8, 99.0, 8.0, 8.0)
    assert times.rows_that_pay(2, 8) == 2
    _observe(times, 2, 99.0, 2.0, 2.0)
    assert (times.rows_that_pay(2, 8), times.rows_that_pay(3, 8), times.rows_that_pay(2, 16)) == (2, 3, 16)
    _observe(times, 8, *[2.5] * 8)
    assert (times.rows_that_pay(2, 8), times.rows_that_pay(3, 8)) == (8, 8)
    _observe(times, 8, *[8.0] * 8)
    assert times.rows_that_pay(2, 8) == 2


def test_a_small_call_that_was_slow_by_chance_is_measured_again() -> None:
    times = CallTimes()
    _observe(times, 2, 9.0, 9.0, 9.0)
    for _ in range(200):
        rows = times.rows_that_pay(2, 8)
        times.observe(rows, float(rows))
    assert times.rows_that_pay(2, 8) == 2


def _observe(times: CallTimes, rows: int, *calls: float) -> None:
    for seconds in calls:
        times.observe(rows, seconds)


def test_a_model_that_waits_for_a_busy_one_holds_up_only_that_one(tmp_path: Path) -> None:
    desk = Desk(*(write_bundle(tmp_path / name) for name in ("a", "b", "c")), max_models=2)
    desk.ask("a", num_steps=50)
    desk.ask("b", num_steps=5)
    desk.turn()
    waits = desk.ask("c", num_steps=1)
    at_a, at_b = desk.ask("a", num_steps=5), desk.ask("b", num_steps=5)
    desk.turn()
    states = [each.submission.state for each in (waits, at_a, at_b)]
    assert states == ["queued", "running", "queued"]  # b has less left to do: it is unloaded for c
