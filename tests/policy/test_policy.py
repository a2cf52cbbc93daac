"""Decisions of a tiny policy: what it observes, what it samples, and what it returns."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge import Policy
from ddim_edge.diffusion.samplers import sampler_config, start
from tests.helpers.array_bundles import array_prediction
from tests.helpers.policy_bundles import ACTION_HIGH, ACTION_LOW, GOAL, SCHEDULER, STATE, encoded, observation
from tests.helpers.tiny_bundles import Array

_FIRST, _SECOND, _THIRD = map(observation, (1, 2, 3))


def _by_hand(window: Sequence[dict[str, Array]], seed: int, decision: int) -> Array:
    """The actions that follow from a window, with the sampler alone, and the network's formula."""
    generator = np.random.Generator(np.random.Philox(key=[seed, decision]))
    draw = partial(generator.standard_normal, (1, 8, 2), np.float32)
    sampler, condition = start(sampler_config(SCHEDULER), 10, draw(), draw), encoded(window)
    query = next(sampler)
    try:
        while True:
            query = sampler.send(array_prediction(query.sample, query.timestep, condition))
    except StopIteration as end:
        chunk: Array = end.value[0]
    low, high = np.float32(ACTION_LOW), np.float32(ACTION_HIGH)
    return ((chunk + 1) / 2 * (high - low) + low)[1:5]


def test_the_first_decision_repeats_the_first_observation(policy: Policy) -> None:
    actions = policy.act(_FIRST)
    assert (actions.shape, actions.dtype) == ((4, 2), np.float32)
    np.testing.assert_allclose(actions, _by_hand([_FIRST, _FIRST], 0, 0), atol=2e-5)
    assert policy.last is not None
    assert (policy.last.num_steps, policy.last.network_calls, policy.last.continued) == (10, 10, False)


def test_a_decision_is_made_from_the_last_observations(policy: Policy) -> None:
    policy.act(_FIRST)
    policy.observe(_SECOND)
    np.testing.assert_allclose(policy.act(_THIRD), _by_hand([_SECOND, _THIRD], 0, 1), atol=2e-5)


def test_a_seed_and_the_number_of_the_decision_choose_the_noise(policy: Policy) -> None:
    episode = [policy.act(_FIRST), policy.act(_SECOND)]
    assert not np.array_equal(policy.act(_SECOND), episode[1])
    policy.reset()
    np.testing.assert_array_equal([policy.act(_FIRST), policy.act(_SECOND)], episode)
    policy.reset(seed=7)
    np.testing.assert_allclose(policy.act(_FIRST), _by_hand([_FIRST, _FIRST], 7, 0), atol=2e-5)


def test_many_robots_get_what_each_gets_alone_with_one_call_a_step(policy: Policy) -> None:
    rows: list[int] = []
    policy.network.denoiser.on_call = lambda count, _seconds: rows.append(count)
    policy.reset(seed=5)
    together = [policy.act_many([_FIRST, _SECOND, _THIRD]), policy.act_many([_SECOND, _THIRD, _FIRST])]
    assert rows == [3] * 20
    for robot, seen in enumerate([(_FIRST, _SECOND), (_SECOND, _THIRD), (_THIRD, _FIRST)]):
        policy.reset(seed=5 + robot)
        for decision, one in enumerate(seen):
            np.testing.assert_allclose(together[decision][robot], policy.act(one), atol=2e-5)


def test_one_robot_of_several_begins_again(policy: Policy) -> None:
    first = policy.act_many([_FIRST, _SECOND])
    policy.reset(robot=1)
    again = policy.act_many([_THIRD, _SECOND])
    np.testing.assert_array_equal(again[1], first[1])
    np.testing.assert_allclose(again[0], _by_hand([_FIRST, _THIRD], 0, 1), atol=2e-5)


def test_an_array_may_be_reused_by_its_owner(policy: Policy) -> None:
    mine = {name: value.copy() for name, value in _FIRST.items()}
    policy.observe(mine)
    mine[STATE][:] = 0
    np.testing.assert_allclose(policy.act(_SECOND), _by_hand([_FIRST, _SECOND], 0, 0), atol=2e-5)


def test_another_sampler_and_number_of_steps(policy_folder: Path) -> None:
    options: Any = {"sampler": "dpmpp-2m", "num_steps": 6, "range_factor": 100}  # it does not clip
    policy = ddim_edge.load_policy(policy_folder, "cpu", warm_up=False, **options)
    policy.act(_FIRST)
    assert policy.last is not None
    assert policy.last.network_calls == 6
    policy.act(_FIRST, num_steps=3)
    assert policy.last.network_calls == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({STATE: None}, "must be numbers, not of type object"),
        ({STATE: [1.0, 2.0]}, r"observation.state must have the shape \(3,\), without a batch, not \(2,\)"),
        ({STATE: [1.0, np.nan, 0.0]}, "observation.state has NaN or infinity: check the sensor"),
        ({"observation.stat": [1.0]}, "Did you mean 'observation.state'"),
    ],
)
def test_a_wrong_observation_is_refused_and_changes_nothing(
    policy: Policy, changes: dict[str, object], message: str
) -> None:
    expected = policy.act(_FIRST)
    policy.reset()
    with pytest.raises(ddim_edge.ConfigError, match=message):
        policy.act({**_SECOND, **changes})
    np.testing.assert_array_equal(policy.act(_FIRST), expected)


def test_a_missing_observation_is_named(policy: Policy) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=f"the observation has no {GOAL}"):
        policy.act({STATE: _FIRST[STATE]})


def test_another_number_of_robots_needs_a_reset(policy: Policy) -> None:
    policy.act(_FIRST)
    with pytest.raises(ddim_edge.ConfigError, match="2 robots were observed, and 1 since the last reset"):
        policy.act_many([_FIRST, _SECOND])


@pytest.mark.parametrize(
    "options", [{"num_steps": 0}, {"num_steps": 101}, {"warm_start": 0}, {"warm_start": 1.5}, {"on_miss": "clip"}]
)
def test_wrong_options_are_refused(policy: Policy, options: dict[str, object]) -> None:
    policy.act(_FIRST)
    with pytest.raises(ddim_edge.ConfigError):
        policy.act(_FIRST, **options)  # type: ignore[arg-type]


def test_a_samplers_config_may_space_timesteps_in_another_way(policy_folder: Path, policy: Policy) -> None:
    trailing = policy.bundle.own_sampler.replace(timestep_spacing="trailing")
    asked: list[float] = []
    changed = ddim_edge.load_policy(policy_folder, "cpu", sampler=trailing, num_steps=4, warm_up=False)
    predict = changed.network.denoiser.predict_or_step
    changed.network.denoiser.predict_or_step = lambda rows: asked.append(rows[0].timestep) or predict(rows)  # type: ignore
    changed.act(_FIRST)
    assert asked == [99, 74, 49, 24]
