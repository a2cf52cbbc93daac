"""The bench of the policy: its rates, its tables, and episodes of balls that are made up."""

from collections.abc import Sequence

import numpy as np
import pytest

from bench.policy import episodes
from bench.policy.episodes import Episode, paired_difference, play, rate
from bench.policy.report import table
from models.training.point_maze.maze import Array, Seen


def _played(*reached: bool) -> list[Episode]:
    return [Episode(one, 30, []) for one in reached]


def test_a_rate_has_wilsons_interval() -> None:
    assert rate(95, 100) == pytest.approx((95.0, 88.82, 97.85), abs=0.01)
    assert rate(0, 10).low == 0
    assert str(rate(5, 10)) == "50.0 (23.7 to 76.3)"


def test_a_paired_difference_counts_starts_that_only_one_reached() -> None:
    same = paired_difference(_played(True, False, True, True), _played(True, False, True, True))
    assert tuple(same) == (0, 0, 0)
    found = paired_difference(_played(True, True, True, False), _played(True, False, True, False))
    assert found.percent == 25
    assert found.low < 0 < found.high


class _Line:
    """A maze that ends when the ball has been pushed to the right often enough."""

    def __init__(self) -> None:
        self.steps, self.at = 0, 0.0

    def reset(self, seed: int) -> Seen:
        self.steps, self.at, self.goal = 0, 0.0, seed % 5 + 3
        return self._seen()

    def step(self, action: Array) -> Seen:
        self.steps, self.at = self.steps + 1, self.at + float(action[0])
        return self._seen()

    @property
    def is_success(self) -> bool:
        return self.at >= self.goal

    @property
    def has_ended(self) -> bool:
        return self.is_success or self.steps >= 20

    def _seen(self) -> Seen:
        return {"observation.state": np.float32([self.at, 0, 0, 0])}


class _Pushing:
    """Pushes to the right, and records what it was told."""

    def __init__(self, force: float) -> None:
        self.force, self.told = force, list[str]()

    def reset(self, seed: int) -> None:
        self.told.append(f"reset {seed}")

    def observe(self, _seen: Sequence[Seen]) -> None:
        self.told.append("observe")

    def act(self, seen: Sequence[Seen]) -> Array:
        self.told.append("act")
        return np.full((len(seen), 4, 2), self.force, np.float32)


def test_episodes_are_played_together_until_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episodes, "Maze", _Line)
    decider = _Pushing(1.0)
    played = play(decider, 5, first=10, at_once=3)
    assert [one.steps for one in played] == [3, 4, 5, 6, 7]
    assert all(one.is_success for one in played)
    assert played[0].places == [(1, 0), (2, 0), (3, 0)]
    round_ = ["act", *["observe"] * 3] * 2
    assert decider.told == ["reset 10", *round_, "reset 13", *round_]
    assert not any(one.is_success for one in play(_Pushing(0.0), 2))


def test_the_tables_have_a_row_for_each_cell() -> None:
    cell = {"success": rate(9, 10)._asdict(), "steps_to_goal": 31.5, "calls_a_decision": 8.0, "reached": []}
    paired = {"episodes": 10, "rates": {"8": rate(9, 10)._asdict()}, "difference": rate(1, 10)._asdict()}
    side = {"p50_ms": 1, "p95_ms": 2, "p99_ms": 3, "decisions_a_second": 4}
    text = table(
        {
            "success": {"episodes": 10, "cells": {"ddim, 8 steps": cell}, "paired": paired},
            "latency": {"1": {"ours": {**side, "host_share": 0.1}, "torch": side}},
        }
    )
    assert "| ddim, 8 steps | 90.0 (59.6 to 98.2) | 31.5 | 8.0 |" in text
    assert "| 1 | ours | 1 | 2 | 3 | 4 | 0.1 |" in text
    assert "10 paired starts: 8 steps 90.0 (59.6 to 98.2); 8 less 100 steps" in text
