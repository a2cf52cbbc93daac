"""A session that remembers what it was asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ddim_edge.arrays import Array
from ddim_edge.runtime.sessions.session import Feed, Session


class CountingSession(Session):
    """Keeps the number of rows and the timesteps of every call."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "cpu")
        self.calls: list[int] = []
        self.timesteps: list[list[int]] = []

    def run(self, feeds: Mapping[str, Feed], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        self.calls.append(len(feeds["sample"]))
        self.timesteps.append(np.asarray(feeds["timestep"]).reshape(-1).tolist())
        return super().run(feeds, outputs)
