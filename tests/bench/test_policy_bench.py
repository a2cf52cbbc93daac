"""The cells of bench.policy, its intervals, and its tables."""

import math

import pytest

from bench.policy.paired import difference, wilson
from bench.tables.policy import policy

pytest.importorskip("gymnasium_robotics", reason="the maze needs pip install '.[maze]'")

from bench.policy.cells import cells


def test_every_cell_has_a_name_of_its_own() -> None:
    names = [cell.name for cell in cells(with_regression=True)]
    assert len(set(names)) == len(names)
    assert len(names) == len(list(cells(with_regression=False))) + 1


def test_the_interval_of_a_rate() -> None:
    low, high = wilson(190, 200)
    assert (low, high) == pytest.approx((0.9104, 0.9726), abs=1e-4), "R: prop.test(190, 200, correct=FALSE)"
    assert wilson(200, 200)[1] == pytest.approx(1)


def test_the_difference_over_the_same_starts() -> None:
    """The bootstrap beside the normal approximation of paired shares."""
    points, (low, high) = difference(range(30), range(20, 40), 1000)
    assert points == pytest.approx(-0.01)
    spread = math.sqrt(0.03 - 0.01**2) / math.sqrt(1000)
    assert (low, high) == pytest.approx((points - 1.96 * spread, points + 1.96 * spread), abs=2e-3)


def test_equal_failures_are_no_difference() -> None:
    assert difference([1, 5], [1, 5], 100) == (0, (0, 0))


def measured(failed: list[int], **changes: object) -> dict[str, object]:
    cell = {"side": "ours", "sampler": "ddim", "num_steps": 8, "warm_start": None, "episodes": 200}
    found = {"successes": 200 - len(failed), "failed_starts": failed, "within": 130, "actions": 60.5}
    return {**cell, **found, **changes}


def test_the_tables_show_what_was_measured() -> None:
    cells = [
        measured([3, 4]),
        measured([4], side="torch"),
        measured(list(range(150)), side="regression", num_steps=1),
        measured([], sampler="ddpm"),
        measured([1], warm_start=0.25),
        measured([1, 2], episodes=1000, successes=998),
        measured([2], episodes=1000, successes=999, num_steps=100),
    ]
    side = {"p50": 5.0, "p95": 6.0, "p99": 7.0, "decisions_per_second": 200.0, "ratio": 3.0, "pairs": [2.5, 3.5]}
    decisions = [{"robots": 1, "num_steps": 8, "host_share": 0.08, "sides": {"ours": side, "eager": side}}]
    late = {"deadline_ms": 5.0, "steps": 3.2, "decisions": 9, "late": 1, "refused": 0}
    text = policy({"cells": dict(enumerate(cells)), "decisions": decisions, "deadlines": [{**cells[0], **late}]})
    assert "| diffusion, 8 | 99.0% (96% to 100%) | 65.0% | 60.5 | 99.5% (97% to 100%) | 1 |" in text
    assert "| regression | 25.0% (20% to 31%) | 65.0% | 60.5 |  |  |" in text
    assert "| ddpm |  | 100.0% (98% to 100%) |  |" in text
    assert "| 8 | 0.25 | 2 | 99.5% (97% to 100%) |" in text
    assert "| -0.1% (-0.3% to +0.0%) | at least -3% | yes |" in text
    assert "| 1 | eager | 5.0 | 6.0 | 7.0 | 200.0 | 3.00 (2.50 to 3.50) |  |" in text
    assert "| 5 | 99.0% (96% to 100%) | 3.2 | 1 of 9 | 0 |" in text
