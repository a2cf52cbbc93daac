"""Who gets a place, and when those who do not may come again."""

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from ddim_edge.networks.row import RowCount
from ddim_edge.serving.errors import QueueFull
from ddim_edge.serving.scheduling.admission import Admission
from ddim_edge.serving.scheduling.pace import Pace
from tests.serving.scheduling.desk import Desk


def refused(admission: Admission, model: str, client: str | None) -> QueueFull:
    with pytest.raises(QueueFull) as caught:
        admission.take(model, client)
    return caught.value


def test_each_model_has_a_queue_of_its_own() -> None:
    admission = Admission(2, 99, Pace())
    for _ in range(2):
        admission.take("a", None)
    assert "the queue of a is full (2 requests)" in str(refused(admission, "a", None))
    admission.take("b", None)
    assert admission.waiting == 3


def test_a_client_has_so_many_requests_over_all_models() -> None:
    admission = Admission(9, 3, Pace())
    places = [admission.take(model, "greedy") for model in ("a", "b", "c")]
    assert "3 of your requests have not ended" in str(refused(admission, "d", "greedy"))
    admission.take("a", "modest")
    with places[0]:
        pass  # nothing was submitted: the place is given up
    admission.take("d", "greedy")


def test_a_place_is_held_until_its_request_has_ended(tiny_bundle: Path) -> None:
    desk, admission = Desk(tiny_bundle), Admission(1, 1, Pace())
    place = admission.take("tiny", "one")
    with place:
        place.submission = desk.ask(num_steps=2).submission
    refused(admission, "tiny", "two")
    desk.turn()
    assert admission.waiting == 0  # it runs: the queue is free, and the client's place is not
    refused(admission, "tiny", "one")
    admission.take("tiny", "two")
    desk.turn()
    admission.take("other", "one")


@pytest.mark.parametrize(("row_seconds", "low", "high"), [(0.1, 10, 20), (0.0001, 1, 3), (9.0, 30, 60)])
def test_who_is_refused_may_come_again_when_the_work_is_done_and_not_all_at_once(
    tiny_bundle: Path, row_seconds: float, low: int, high: int
) -> None:
    desk, pace = Desk(tiny_bundle), Pace()
    pace.observe("tiny", 4, 4 * row_seconds)
    admission = Admission(1, 99, pace)
    admission.take("tiny", None).submission = desk.ask(num_images=5, num_steps=20).submission
    times = [refused(admission, "tiny", None).retry_after or 0 for _ in range(200)]
    assert all(low <= seconds <= high for seconds in times)
    assert len(set(times)) > (high - low) / 2


@dataclass
class Work:
    """A request of 10 rows, as admission sees it."""

    model: str = "m"
    rows_left: int = 10
    state: str = "queued"

    @property
    def rows_of_each_kind_left(self) -> RowCount:
        return RowCount(self.rows_left, 0)

    @property
    def ended(self) -> bool:
        return self.rows_left == 0


def test_all_of_150_clients_that_try_three_times_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddim_edge.serving.scheduling.admission.random", random.Random(7))
    pace, served, given_up = Pace(), 0, 0
    pace.observe("m", 1, 0.04)
    admission, queue = Admission(64, 48, pace), list[Work]()
    tries = [(0, attempt) for attempt in [1] * 150]  # the time in steps of 0.04 s, one row each
    for now in range(10_000):
        coming = [attempt for at, attempt in tries if at == now]
        tries = [each for each in tries if each[0] != now]
        for attempt in coming:
            try:
                place = admission.take("m", "one address")
            except QueueFull as error:
                given_up += attempt == 3
                if attempt < 3:
                    tries.append((now + round((error.retry_after or 0) / 0.04), attempt + 1))
            else:
                place.submission = Work()  # type: ignore[assignment]
                queue.append(place.submission)  # type: ignore[arg-type]
        if queue:
            queue[0].rows_left -= 1
            if queue[0].ended:
                queue.pop(0)
                served += 1
    assert (served, given_up) == (150, 0)
