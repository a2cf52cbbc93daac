"""The control loop, on a clock that only the test moves."""

from collections.abc import Sequence

import numpy as np
import pytest

import ddim_edge
from ddim_edge import Policy
from ddim_edge.arrays import Sample
from ddim_edge.policy.window import Observation
from tests.helpers.policy_bundles import observation
from tests.helpers.tiny_bundles import Array

from .conftest import FakeClock


class Robot:
    """Records what it was sent, and when; its sensors take ``seconds`` at each step."""

    def __init__(self, clock: FakeClock, steps: int, seconds: Sequence[float] = ()) -> None:
        self.clock, self.steps, self.seconds = clock, steps, dict(enumerate(seconds))
        self.sent: list[Array] = []
        self.at: list[float] = []

    def step(self, action: Sample | None) -> Observation | None:
        if action is not None:
            self.sent.append(action)
            self.at.append(round(self.clock.now - 100, 6))
            self.clock.sleep(self.seconds.get(len(self.sent) - 1, 0))
        return observation(len(self.sent)) if len(self.sent) < self.steps else None


def test_actions_are_sent_at_their_times(timed: Policy, clock: FakeClock) -> None:
    clock.now = 100
    robot = Robot(clock, 9)
    loop = timed.control(robot.step, hz=10, sleep=clock.sleep)
    np.testing.assert_array_equal(list(loop), robot.sent)
    assert robot.at == pytest.approx(np.arange(9) * 0.1 + 0.104, abs=1e-6)
    assert (loop.sent, loop.missed, list(loop.misses)) == (9, 0, [])


def test_the_actions_are_those_of_act_and_observe(timed: Policy, clock: FakeClock) -> None:
    robot = Robot(clock, 6)
    list(timed.control(robot.step, hz=1, sleep=clock.sleep))
    timed.reset()
    first = timed.act(observation(0))
    for number in (1, 2, 3):
        timed.observe(observation(number))
    np.testing.assert_array_equal(robot.sent, [*first, *timed.act(observation(4))[:2]])


def test_a_decision_has_the_time_until_its_action_is_due(timed: Policy, clock: FakeClock) -> None:
    robot = Robot(clock, 5, [0, 0, 0, 0.04])  # the observation of the second decision takes 40 of 100 ms
    list(timed.control(robot.step, hz=10, sleep=clock.sleep))
    assert timed.last is not None
    assert timed.last.deadline == pytest.approx(0.06)
    assert timed.last.num_steps == 5


def test_a_late_action_is_reported_and_not_caught_up_with(timed: Policy, clock: FakeClock) -> None:
    clock.now = 100
    robot = Robot(clock, 6, [0, 0.25])
    loop = timed.control(robot.step, hz=10, sleep=clock.sleep)
    list(loop)
    assert loop.missed == 1
    assert [(miss.action, round(miss.late, 6)) for miss in loop.misses] == [(2, 0.15)]
    assert np.diff(robot.at) == pytest.approx([0.1, 0.25, 0.1, 0.1, 0.1])


def test_a_miss_of_the_deadline_ends_the_loop_or_goes_on(timed: Policy, clock: FakeClock) -> None:
    late = [0, 0, 0, 0.095]
    with pytest.raises(ddim_edge.DeadlineError):
        list(timed.control(Robot(clock, 6, late).step, hz=10, sleep=clock.sleep))
    timed.reset()
    robot = Robot(clock, 6, late)
    loop = timed.control(robot.step, hz=10, sleep=clock.sleep, on_miss="continue")
    list(loop)
    assert (loop.sent, loop.missed) == (6, 0)
    assert timed.last is not None
    assert timed.last.continued


def test_a_tolerance_is_no_miss(timed: Policy, clock: FakeClock) -> None:
    oversleeping = lambda seconds: clock.sleep(seconds + 0.004)  # noqa: E731
    loop = timed.control(Robot(clock, 4).step, hz=10, sleep=oversleeping)
    list(loop)
    assert loop.missed == 0
    timed.reset()
    loop = timed.control(Robot(clock, 4).step, hz=10, sleep=oversleeping, tolerance=0.003)
    list(loop)
    assert loop.missed == 3


@pytest.mark.parametrize("options", [{"hz": 0}, {"hz": -1}, {"hz": float("nan")}, {"hz": 10, "tolerance": -1}])
def test_wrong_options_are_refused_before_the_robot_moves(timed: Policy, options: dict[str, float]) -> None:
    with pytest.raises(ddim_edge.ConfigError):
        timed.control(lambda _action: pytest.fail("the robot was called"), **options)  # type: ignore[arg-type]
