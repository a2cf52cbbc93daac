"""Worker process: decides for some robots, with ddim-edge or with PyTorch, on one thread, and returns the times."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ddim_edge.arrays import Sample
from ddim_edge.runtime.workers.child import Record, Respond, serve

from . import BUNDLE

MODULE = "bench.policy.worker"
KINDS = ("ours", "eager", "compiled")
_WARM_UP = 5
Decide = Callable[[], Sample]


class Networks:
    """The seconds in the networks since the last ``take``."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, _rows: int, seconds: float) -> None:
        self.seconds += seconds

    def timed(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = run(*arguments)
            self.add(0, time.perf_counter() - began)
            return result

        return timed

    def take(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def open_side(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Open the policy and decide a few times: memory, compilation."""
    networks = Networks()
    decide = _ours(settings, networks) if settings["kind"] == "ours" else _torch(settings)
    for _ in range(_WARM_UP):
        decide()
    return {}, lambda _request: _measure(decide, networks, settings["decisions"])


def _ours(settings: Mapping[str, Any], networks: Networks) -> Decide:
    from .cells import open_ours

    policy, seen = open_ours(BUNDLE, "ddim", settings["num_steps"]), _observations(settings["robots"])
    policy.network.denoiser.on_call = networks.add
    encoder = policy.network.encoder
    encoder.run = networks.timed(encoder.run)  # type: ignore[method-assign]
    return lambda: policy.act_many(seen)


def _torch(settings: Mapping[str, Any]) -> Decide:
    import torch

    from .torch_side import TorchPolicy

    torch.set_num_threads(1)
    policy = TorchPolicy(BUNDLE, settings["num_steps"], compiled=settings["kind"] == "compiled")
    seen = _observations(settings["robots"])
    return lambda: policy.act_many(seen)


def _observations(robots: int) -> list[dict[str, Sample]]:
    """A ball at rest for each robot."""
    from models.training.point_maze.maze import GOAL, STATE

    random = np.random.default_rng(0)
    places = random.uniform(-2, 2, (robots, 2, 2)).astype(np.float32)
    return [{STATE: np.concatenate([place, np.zeros(2, np.float32)]), GOAL: goal} for place, goal in places]


def _measure(decide: Decide, networks: Networks, decisions: int) -> Record:
    """The seconds of each decision, and of all of it those in our networks."""
    networks.take()
    taken = []
    for _ in range(decisions):
        began = time.perf_counter()
        decide()
        taken.append(time.perf_counter() - began)
    return {"seconds": taken, "network_seconds": networks.take()}


if __name__ == "__main__":
    serve(open_side)
