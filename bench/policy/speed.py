"""How long a decision takes, beside PyTorch, and how often it succeeds within a deadline."""

from itertools import chain
from statistics import median
from typing import Any

import numpy as np

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.errors import DeadlineError
from models.training.point_maze.maze import start_of

from ..harness import compare, interleaved, workers
from ..results import Record
from . import BUNDLE, EPISODES
from .cells import Asking, open_ours
from .episodes import play
from .worker import KINDS, MODULE

NUM_STEPS = 8
DECISIONS = {1: 100, 8: 50, 64: 10}
"""The decisions of a round, by the number of robots."""
ROUNDS = 7
DEADLINES = (0.002, 0.003, 0.005, 0.01, 0.02, 0.05)
_MOST_STEPS = 16


def decisions(notify: Notify, rounds: int) -> list[Record]:
    """A row for each number of robots: quantiles in ms, decisions a second, the host's share, ratios to ours."""
    return [_row(robots, notify, rounds) for robots in DECISIONS]


def _row(robots: int, notify: Notify, rounds: int) -> Record:
    settings = {"robots": robots, "num_steps": NUM_STEPS, "decisions": DECISIONS[robots]}
    notify(f"decisions of {robots} robots: starting {', '.join(KINDS)}")
    with workers(MODULE, {kind: {**settings, "kind": kind} for kind in KINDS}) as measures:
        taken = interleaved(measures, rounds, notify)
    medians = {kind: [median(one["seconds"]) for one in each] for kind, each in taken.items()}
    sides = {kind: {**_times(robots, each), **compare(medians["ours"], medians[kind])} for kind, each in taken.items()}
    within = sum(one["network_seconds"] for one in taken["ours"])
    share = 1 - within / sum(chain.from_iterable(one["seconds"] for one in taken["ours"]))
    return {"robots": robots, "num_steps": NUM_STEPS, "host_share": round(share, 4), "sides": sides}


def _times(robots: int, rounds: list[dict[str, Any]]) -> Record:
    seconds = list(chain.from_iterable(one["seconds"] for one in rounds))
    quantiles = np.quantile(seconds, [0.5, 0.95, 0.99]) * 1e3
    found = {name: round(float(value), 3) for name, value in zip(("p50", "p95", "p99"), quantiles, strict=True)}
    return {**found, "decisions_per_second": round(robots / median(seconds), 1)}


def deadlines(notify: Notify, episodes: int = EPISODES) -> list[Record]:
    """A row for each deadline: episodes of one robot, which decides with the steps that fit."""
    rows = []
    for deadline in DEADLINES:
        notify(f"{episodes} episodes with a deadline of {1000 * deadline:g} ms")
        rows.append(_within(deadline, episodes))
    return rows


def _within(deadline: float, episodes: int) -> Record:
    policy = open_ours(BUNDLE, "ddim", _MOST_STEPS)
    policy.warm_up()
    asking = Asking(policy, deadline=deadline)
    successes, refused = 0, 0
    for seed in range(episodes):
        try:
            successes += play(asking, [start_of(seed)], seed)[0].success
        except DeadlineError:
            refused += 1
    made = asking.decisions
    return {
        "deadline_ms": 1000 * deadline,
        "episodes": episodes,
        "successes": successes,
        "refused": refused,
        "decisions": len(made),
        "late": sum(one.is_late for one in made),
        "steps": round(sum(one.num_steps for one in made) / len(made), 2) if made else None,
    }
