"""Latency: how long decisions take, ours and PyTorch's in turn, and what of ours is not the networks."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.training.point_maze.maze import GOAL, STATE, Seen

from .deciders import Ours, Torch
from .episodes import Decider
from .success import open_policy

_STEPS, _WARM_UP = 8, 5
BATCHES = (1, 8, 64)


def measure(bundle: Path, lerobot: Path, rounds: int, decisions: int, *, compiled: bool) -> dict[str, Any]:
    """For each batch and side the quantiles of a decision of 8 steps in ms, and decisions a second."""
    torch.set_num_threads(_threads())
    return {str(batch): _of_batch(bundle, lerobot, batch, rounds, decisions, compiled) for batch in BATCHES}


def _of_batch(bundle: Path, lerobot: Path, batch: int, rounds: int, decisions: int, compiled: bool) -> dict[str, Any]:
    sides: dict[str, Decider] = {
        "ours": Ours(open_policy(bundle, _STEPS)),
        "torch": Torch(lerobot, bundle, _STEPS),
    }
    if compiled:
        sides["torch.compile"] = Torch(lerobot, bundle, _STEPS, torch.compile)
    seen = [_made_up(ball) for ball in range(batch)]
    times: dict[str, list[float]] = {name: [] for name in sides}
    for decider in sides.values():
        decider.reset(0)
        _timed(decider, seen, _WARM_UP)
    for _ in range(rounds):
        for name, decider in sides.items():
            times[name] += _timed(decider, seen, decisions)
    result = {name: _summary(values, batch) for name, values in times.items()}
    result["ours"]["host_share"] = _host_share(bundle, seen, decisions)
    return result


def _timed(decider: Decider, seen: Sequence[Seen], count: int) -> list[float]:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        decider.act(seen)
        times.append(time.perf_counter() - began)
    return times


def _summary(times: Sequence[float], batch: int) -> dict[str, Any]:
    p50, p95, p99 = (round(1000 * float(np.quantile(times, share)), 3) for share in (0.5, 0.95, 0.99))
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "decisions_a_second": round(batch / np.median(times), 1)}


def _host_share(bundle: Path, seen: Sequence[Seen], count: int) -> float:
    """The part of a decision that is spent outside of the two sessions' calls, from 0 to 1."""
    policy = open_policy(bundle, _STEPS)
    spent = [0.0]
    for session in (policy.network.denoiser.session, policy.network.encoder):
        session.run_and_keep = _counted(session.run_and_keep, spent)  # type: ignore[method-assign]
    decider = Ours(policy)
    _timed(decider, seen, _WARM_UP)
    spent[0] = 0.0
    total = sum(_timed(decider, seen, count))
    return round(1 - spent[0] / total, 3)


def _counted(call: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            spent[0] += time.perf_counter() - began

    return counted


def _made_up(ball: int) -> Seen:
    random = np.random.default_rng(ball)
    return {STATE: random.uniform(-1, 1, 4).astype(np.float32), GOAL: np.float32([2, 0])}


def _threads() -> int:
    from ddim_edge.runtime.hardware import cpu

    return cpu.describe().threads
