"""Warm starts: a chunk that begins with the one before."""

from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge import Policy
from ddim_edge.arrays import Sample
from ddim_edge.policy.robot import Robot
from ddim_edge.policy.window import Window
from tests.helpers.policy_bundles import observation

_SEEN = observation(1)


def test_only_the_last_steps_are_made(policy: Policy) -> None:
    policy.act(_SEEN, warm_start=0.3)
    assert policy.last is not None
    assert (policy.last.network_calls, policy.last.warm_start) == (10, None)  # there is no chunk to begin with
    policy.act(_SEEN, warm_start=0.3)
    assert (policy.last.network_calls, policy.last.warm_start) == (3, 0.3)


def test_it_begins_with_the_chunk_before_shifted_at_the_noise_level_of_its_first_step(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Sample] = []
    sample = policy.network.sample

    def recording(samplers, conditionings, on_step):  # type: ignore[no-untyped-def]
        chunks = sample(samplers, conditionings, on_step)
        first.extend(chunks)
        return chunks

    monkeypatch.setattr(policy.network, "sample", recording)
    started: list[Sample] = []
    predict = policy.network.denoiser.predict_or_step
    monkeypatch.setattr(
        policy.network.denoiser,
        "predict_or_step",
        lambda rows: started.append(rows[0].sample.copy()) or predict(rows),  # type: ignore[func-returns-value]
    )
    policy.act(_SEEN)
    started.clear()
    policy.act(_SEEN, warm_start=0.3)
    chunk = np.concatenate([first[0][:, 4:], np.repeat(first[0][:, -1:], 4, axis=1)], axis=1)
    noise = np.random.Generator(np.random.Philox(key=[0, 1])).standard_normal((1, 8, 2), np.float32)
    config = policy.bundle.own_sampler
    signal = np.sqrt(ddim_edge.DdimSchedule(config, 10).alpha_bars[20])  # type: ignore[arg-type]
    np.testing.assert_allclose(started[0], signal * chunk + np.sqrt(1 - signal**2) * noise, atol=1e-5)


def test_a_chunk_of_which_nothing_is_left_starts_nothing(policy: Policy) -> None:
    policy.act(_SEEN)
    policy.act(_SEEN, warm_start=0.3, executed=8)
    assert policy.last is not None
    assert (policy.last.network_calls, policy.last.warm_start) == (10, None)


def test_a_part_without_a_step_is_refused(policy: Policy) -> None:
    policy.act(_SEEN)
    with pytest.raises(ddim_edge.ConfigError, match="leaves no step"):
        policy.act(_SEEN, warm_start=0.05)


def test_the_rest_of_a_chunk_ends_with_its_last_action(policy: Policy) -> None:
    robot = Robot(Window(policy.config), 0)
    assert robot.rest(None) is None
    robot.keep(np.arange(8, dtype=np.float32).reshape(1, 4, 2), 2)
    rest = robot.rest(None)
    assert rest is not None
    np.testing.assert_array_equal(rest[0], [[4, 5], [6, 7], [6, 7], [6, 7]])


def test_robots_with_and_without_a_chunk_before(policy_folder: Path) -> None:
    policy = ddim_edge.load_policy(policy_folder, "cpu", warm_up=False)
    policy.act_many([_SEEN, _SEEN])
    policy.reset(robot=1)
    policy.act_many([_SEEN, _SEEN], warm_start=0.3)
    assert policy.last is not None
    assert (policy.last.network_calls, policy.last.warm_start) == (10, None)
