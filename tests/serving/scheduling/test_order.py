"""The order of waiting requests: small ones before large ones, and no large one waits for ever."""

from pathlib import Path

import pytest

from tests.serving.scheduling.desk import Asked, Desk


def full(bundle: Path) -> tuple[Desk, Asked]:
    """A desk with one row, which a request of six calls has."""
    desk = Desk(bundle, max_rows=1)
    running = desk.ask(num_steps=6)
    desk.turn()
    return desk, running


def until(desk: Desk, asked: Asked) -> None:
    for _ in range(200):
        if asked.submission.ended:
            return
        desk.turn()
    raise AssertionError("it has not ended")


def test_a_small_request_is_not_behind_a_large_one(tiny_bundle: Path) -> None:
    desk, _ = full(tiny_bundle)
    large, small = desk.ask(num_images=10, num_steps=10), desk.ask(num_steps=2)
    until(desk, small)
    assert large.submission.state == "queued"
    until(desk, large)
    assert large.error is None


@pytest.mark.parametrize(("images", "rows"), [(4, 20), (1, 5)])
def test_nobody_who_came_after_as_many_rows_as_it_needs_passes_it(tiny_bundle: Path, images: int, rows: int) -> None:
    desk, running = full(tiny_bundle)
    large, came = desk.ask(num_steps=5, num_images=images), list[tuple[int, Asked]]()
    while large.submission.state == "queued":
        came.append((len(desk.calls), desk.ask(num_steps=2)))  # twice what a turn computes
        desk.turn()
        assert len(came) < 100
    assert running.submission.ended
    passed = [turn for turn, small in came if small.submission.state != "queued"]
    assert max(passed, default=0) <= rows
    assert [small.submission.state for turn, small in came if turn > rows] == ["queued"] * (len(came) - rows)


def test_requests_of_one_size_keep_the_order_of_arrival(tiny_bundle: Path) -> None:
    desk, _ = full(tiny_bundle)
    asked = [desk.ask(num_steps=3) for _ in range(3)]
    ended: list[int] = []
    for _ in range(30):
        desk.turn()
        ended += [turn for turn, each in enumerate(asked) if each.submission.ended and turn not in ended]
    assert ended == [0, 1, 2]


def test_small_requests_of_one_client_leave_room_for_the_large_first_one_of_another(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle, max_rows=2)
    for _ in range(9):
        desk.ask(client="greedy", num_steps=2)
    desk.turn(3)
    large = desk.ask(client="modest", num_images=4, num_steps=20)
    desk.turn()
    assert large.submission.state == "running"
