"""The recipe of the maze's policy: its expert, its demonstrations, the folder that it saves, and the policy in models/.

The environment is gymnasium-robotics' own (the extra ``maze``); without it these tests are skipped.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium_robotics", reason="the maze needs pip install '.[maze]'")

import ddim_edge
from bench.policy.episodes import maze, play
from bench.policy.torch_side import TorchPolicy
from ddim_edge.bundle.policy_config import PolicyConfig
from ddim_edge.runtime.providers.device import Device
from ddim_edge_export.policy.lerobot import export_policy
from models.training.loop import Loss
from models.training.point_maze import demonstrations
from models.training.point_maze.__main__ import begin_at_the_last_timestep
from models.training.point_maze.demonstrations import HORIZON, N_OBS_STEPS, Demonstrations
from models.training.point_maze.expert import Expert, ways
from models.training.point_maze.maze import LIMIT, Maze, Seen, Start, cells, middle_of, start_of
from models.training.point_maze.saving import CONFIG, save_lerobot, statistics_of
from models.training.point_maze.train import train
from models.training.recipe import Recipe
from tests.helpers import faster_export  # noqa: F401

BUNDLE = Path(__file__).parents[2] / "models" / "point-maze"
WEST_TO_EAST = Start((3, 1), (3, 5), seed=0)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks, which other threads would only slow down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shown() -> Demonstrations:
    """The windows of four episodes."""
    return Demonstrations.made(4)


def walk(start: Start, seed: int) -> tuple[bool, list[Seen]]:
    """Whether the expert reaches the goal, and what was seen on its way."""
    expert, place, is_there = Expert(start, np.random.default_rng(seed)), maze(0), False
    seen = [place.reset(start)]
    while not is_there and len(seen) <= LIMIT:
        found, is_there = place.step(expert.act(seen[-1]))
        seen.append(found)
    return is_there, seen


def test_every_cell_and_the_opposite_one_are_joined_by_two_ways_of_one_length() -> None:
    assert len(list(cells())) == 16
    for seed in range(100):
        start = start_of(seed)
        found = ways(start.cell, start.goal)
        assert [len(way) for way in found] == [9, 9]
        assert len({way[4] for way in found}) == 2
    assert {start_of(seed).cell for seed in range(100)} == set(cells())


def test_an_environment_is_where_the_map_says() -> None:
    for cell in ((1, 1), (5, 2)):
        seen = maze(0).reset(Start(cell, (1, 5), seed=3))
        assert np.abs(seen["observation.state"][:2] - middle_of(cell)).max() <= 0.25
        assert np.abs(seen["observation.environment_state"] - middle_of((1, 5))).max() <= 0.25
        assert not seen["observation.state"][2:].any()


def test_the_expert_takes_both_ways_from_one_start_and_arrives_in_time() -> None:
    heights = []
    for seed in range(8):
        is_there, seen = walk(WEST_TO_EAST, seed)
        assert is_there
        heights.append(np.mean([one["observation.state"][1] for one in seen]))
    assert min(heights) < -1 < 1 < max(heights)


def test_windows_and_chunks_belong_together(shown: Demonstrations) -> None:
    assert shown.states.shape == (len(shown.goals), N_OBS_STEPS, 4)
    assert shown.chunks.shape == (len(shown.goals), HORIZON, 2)
    times = np.arange(40, dtype=np.float32)[:, None]
    observed, acted = demonstrations._windows(times, N_OBS_STEPS), demonstrations._chunks(times)
    assert observed[:3, :, 0].tolist() == [[0, 0], [0, 1], [1, 2]]
    assert (acted[:, N_OBS_STEPS - 1] == observed[:, -1]).all(), "LeRobot's chunk begins at the oldest observation"
    assert acted[-1, -1] == 39
    assert len(acted) == len(observed)


def test_demonstrations_are_made_once(tmp_path: Path, shown: Demonstrations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Demonstrations, "made", lambda _episodes: shown)
    made = Demonstrations.load_or_make(tmp_path / "made.npz", 4)
    monkeypatch.delattr(Demonstrations, "made")
    for again, before in zip(Demonstrations.load_or_make(tmp_path / "made.npz", 4), made, strict=True):
        np.testing.assert_array_equal(again, before)


@pytest.mark.slow
def test_a_trained_policy_becomes_a_bundle(
    tmp_path: Path, shown: Demonstrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIG.keys, "down_dims", [8, 16])
    statistics, recipe = statistics_of(shown), Recipe(steps=2, batch_size=8, warmup_steps=1)
    unet = train(CONFIG, shown, statistics, recipe, tmp_path / "checkpoint.pt")
    save_lerobot(unet, statistics, tmp_path / "lerobot")
    export_policy(tmp_path / "lerobot", tmp_path / "bundle")
    begin_at_the_last_timestep(tmp_path / "bundle")
    config = PolicyConfig.read(tmp_path / "bundle")
    assert config.action.trained is not None
    np.testing.assert_allclose(config.action.trained.high, shown.chunks.max(axis=(0, 1)))
    assert json.loads((tmp_path / "bundle" / "policy.json").read_text())["horizon"] == HORIZON
    policy = ddim_edge.load_policy(tmp_path / "bundle", "cpu", warm_up=False)
    seen = maze(0).reset(WEST_TO_EAST)
    assert policy.act(seen).shape == (policy.config.n_action_steps, 2)
    own = policy.bundle.own_sampler
    assert isinstance(own, ddim_edge.DdimConfig)
    assert own.timestep_spacing == "trailing"


def test_a_regression_never_sees_the_actions_in_its_sample(
    shown: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the last timestep of this schedule a sample is noise alone, so its error has the size of both together."""

    def error_of_a_sample(_unet: object, loss: Loss, recipe: Recipe, *_: object, **__: object) -> Any:
        return loss(_ReturnsItsSample(), 0, torch.Generator().manual_seed(recipe.seed))

    monkeypatch.setattr("models.training.loop.train", error_of_a_sample)
    statistics, recipe = statistics_of(shown), Recipe(batch_size=512)
    error: Any = train(CONFIG, shown, statistics, recipe, tmp_path / "none.pt", regression=True)
    spread = float(np.square(statistics["chunks"].normalized(shown.chunks)).mean())
    assert error.item() == pytest.approx(1 + spread, abs=0.05)


class _ReturnsItsSample(torch.nn.Module):
    def forward(self, sample: torch.Tensor, _timesteps: torch.Tensor, _conditions: torch.Tensor) -> torch.Tensor:
        return sample


def test_the_bundled_policy_reaches_its_goals() -> None:
    policy = ddim_edge.load_policy(BUNDLE, Device("cpu", threads=1), warm_up=False)
    played = play(policy, [start_of(seed) for seed in range(6)], seed=0)
    assert sum(one.success for one in played) >= 5
    heights = [one.path[:, 1].mean() for one in play(policy, [WEST_TO_EAST] * 6, seed=0)]
    assert min(heights) < -1 < 1 < max(heights), "from one start both ways are taken"


def test_whole_chunks_are_those_of_the_network_in_torch() -> None:
    starts = [start_of(seed) for seed in range(6)]
    seen = [maze(number).reset(start) for number, start in enumerate(starts)]
    for steps in (1, 8):
        policy = ddim_edge.load_policy(BUNDLE, Device("cpu", threads=1), warm_up=False, num_steps=steps)
        wanted = TorchPolicy(BUNDLE, steps).act_many(seen)
        np.testing.assert_allclose(policy.act_many(seen), wanted, atol=1e-4)


def test_an_environment_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Maze()
    assert not list(tmp_path.iterdir())
