"""Deadlines, on a clock that only the test moves."""

import numpy as np
import pytest

import ddim_edge
from ddim_edge import Policy
from tests.helpers.policy_bundles import observation

from .conftest import FakeClock

_SEEN = observation(1)


def _steps(policy: Policy, deadline: float, **options: object) -> tuple[int, int]:
    policy.act(_SEEN, deadline, **options)  # type: ignore[arg-type]
    assert policy.last is not None
    assert not policy.last.is_late
    return policy.last.num_steps, policy.last.network_calls


def test_warm_up_measures_a_decision(timed: Policy) -> None:
    assert timed.times().step_p99 == pytest.approx(0.01)
    assert timed.times().rest_p99 == pytest.approx(0)
    assert not timed.times(robots=2).is_measured


_CHOSEN = [(1.0, 10), (0.1041, 10), (0.103, 9), (0.0541, 5), (0.0539, 4), (0.0141, 1)]


@pytest.mark.parametrize(("deadline", "steps"), _CHOSEN)
def test_the_most_steps_that_fit_are_chosen(timed: Policy, deadline: float, steps: int) -> None:
    assert _steps(timed, deadline) == (steps, steps)


def test_a_slow_encoder_costs_steps(timed: Policy, clock: FakeClock) -> None:
    clock.encoder_s = 0.03
    assert _steps(timed, 0.0501) == (2, 2)


def test_the_slowest_calls_decide_not_the_mean(timed: Policy, clock: FakeClock) -> None:
    clock.call_s = 0.03
    timed.act(_SEEN, num_steps=2)  # 2 of 102 calls are slow
    assert timed.times().step_p99 == pytest.approx(0.03)
    assert _steps(timed, 0.1) == (3, 3)


def test_fewer_steps_may_be_asked_for(timed: Policy) -> None:
    assert _steps(timed, 1.0, num_steps=5) == (5, 5)


def test_a_warm_start_makes_more_of_the_time(timed: Policy) -> None:
    timed.act(_SEEN)
    assert _steps(timed, 0.0351, warm_start=0.3) == (10, 3)
    assert _steps(timed, 0.0245, warm_start=0.3) == (9, 2)


def test_too_short_is_an_error_that_names_the_times(timed: Policy, clock: FakeClock) -> None:
    before = clock.now
    message = r"a deadline of 13 ms leaves no time for 1 steps: the encoder took 4 ms, a network call takes up to 10 ms"
    with pytest.raises(ddim_edge.DeadlineError, match=message):
        timed.act(_SEEN, 0.013)
    assert clock.now - before == pytest.approx(0.004)  # nothing was sampled


def test_too_short_goes_on_with_the_chunk_before_where_asked_for(timed: Policy) -> None:
    with pytest.raises(ddim_edge.DeadlineError, match="no actions left"):
        timed.act(_SEEN, 0.001, on_miss="continue")
    timed.reset()
    timed.act(_SEEN)
    rest = timed.act(_SEEN, 0.001, on_miss="continue")
    assert rest.shape == (
        3,
        2,
    )  # 8 of a chunk, of which the first belongs to an earlier observation, and 4 were executed
    assert timed.last is not None
    assert (timed.last.continued, timed.last.num_steps, timed.last.network_calls) == (True, 0, 0)
    with pytest.raises(ddim_edge.DeadlineError, match="no actions left"):
        timed.act(_SEEN, 0.001, on_miss="continue")


def test_a_continuation_begins_after_the_actions_that_were_executed(timed: Policy) -> None:
    chunk = timed.act(_SEEN)
    rest = timed.act(_SEEN, 0.001, executed=1, on_miss="continue")
    np.testing.assert_array_equal(rest[:3], chunk[1:])
    assert len(rest) == 4


def test_a_decision_that_took_longer_says_so(timed: Policy, clock: FakeClock) -> None:
    clock.call_s = 0.02
    timed.act(_SEEN, 0.05)
    assert timed.last is not None
    assert timed.last.is_late
    assert timed.last.seconds == pytest.approx(0.084)


def test_a_deadline_needs_a_warm_up_with_as_many_robots(timed: Policy) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="call warm_up with this number of robots"):
        timed.act_many([_SEEN, _SEEN], 0.05)
    timed.reset()
    timed.warm_up(robots=2)
    timed.act_many([_SEEN, _SEEN], 0.05)
    assert timed.last is not None
    assert timed.last.num_steps == 4


def test_a_warm_up_changes_no_action(policy: Policy) -> None:
    expected = policy.act(_SEEN)
    policy.reset()
    policy.warm_up()
    np.testing.assert_array_equal(policy.act(_SEEN), expected)
