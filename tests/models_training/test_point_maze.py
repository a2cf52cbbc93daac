"""The recipe of the maze's policy: its examples, its losses, and the folder that it saves. The physics are not run."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import ddim_edge
from ddim_edge_export import export_policy
from models.training.point_maze.data import ACTION, HORIZON, N_OBS_STEPS, examples_of, statistics_of
from models.training.point_maze.expert import Demonstration
from models.training.point_maze.lerobot import save_policy
from models.training.point_maze.maze import GOAL, STATE
from models.training.point_maze.train import RECIPE, UNET, train, train_mean


def _episode(steps: int, seed: int) -> Demonstration:
    random = np.random.default_rng(seed)
    return Demonstration(*(random.uniform(-1, 1, (steps, width)).astype(np.float32) for width in (4, 2, 2)))


EPISODES = [_episode(20, 0), _episode(9, 1)]


def test_an_example_is_the_window_before_a_step_and_the_chunk_that_begins_with_it() -> None:
    statistics = statistics_of(EPISODES)
    conditions, chunks = examples_of(EPISODES, statistics)
    assert (conditions.shape, chunks.shape) == ((29, 12), (29, HORIZON, 2))
    first = EPISODES[0]
    low, high = statistics[ACTION]["min"], statistics[ACTION]["max"]
    actions = 2 * (first.actions - low) / (high - low) - 1
    np.testing.assert_array_equal(chunks[3], actions[2:18])
    np.testing.assert_array_equal(chunks[0], actions[[0, *range(15)]])  # the first step stands for that before it
    np.testing.assert_array_equal(chunks[19], actions[[18, *[19] * 15]])  # and the last for those behind it
    goals, states = statistics[GOAL], statistics[STATE]
    seen = [
        np.append(
            2 * (first.states[at] - states["min"]) / (states["max"] - states["min"]) - 1,
            2 * (first.goals[at] - goals["min"]) / (goals["max"] - goals["min"]) - 1,
        )
        for at in (2, 3)
    ]
    np.testing.assert_allclose(conditions[3], np.concatenate(seen), rtol=1e-6)
    assert N_OBS_STEPS == 2


@pytest.mark.slow
def test_what_is_trained_is_exported_like_a_policy_of_lerobot(tmp_path: Path) -> None:
    statistics = statistics_of(EPISODES)
    examples = examples_of(EPISODES, statistics)
    recipe = dataclasses.replace(RECIPE, steps=3, batch_size=8)
    unet = train(examples, recipe, tmp_path / "checkpoint.pt")
    again = train(examples, recipe, tmp_path / "checkpoint.pt")  # which has ended
    for one, other in zip(unet.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    save_policy(tmp_path / "lerobot", unet, statistics)
    export_policy(tmp_path / "lerobot", tmp_path / "policy")
    policy = ddim_edge.load_policy(tmp_path / "policy", "cpu", warm_up=False)
    assert policy.config.action_dim == UNET.action_dim
    assert policy.act({STATE: EPISODES[0].states[0], GOAL: EPISODES[0].goals[0]}).shape == (8, 2)


def test_the_regression_learns_the_mean_of_two_ways(tmp_path: Path) -> None:
    """Where half of the demonstrations go up and half go down, it predicts neither."""
    still = np.zeros((16, 2), np.float32)
    ways = [
        Demonstration(np.zeros((16, 4), np.float32), still, still + np.float32([0, sign])) for sign in (1, -1, 1, -1)
    ]
    unit = {"min": np.float32([-1]), "max": np.float32([1])}
    examples = examples_of(ways, {STATE: unit, GOAL: unit, ACTION: unit})
    recipe = dataclasses.replace(RECIPE, steps=60, batch_size=64, warmup_steps=5, ema_decay=0.5)
    mean = train_mean(examples, recipe, tmp_path / "mean.pt")
    with torch.no_grad():
        chunk = mean(torch.randn(1, HORIZON, 2), torch.zeros(1), examples.conditions[:1])
    assert chunk.abs().max() < 0.4
