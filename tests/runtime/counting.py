"""A session that remembers what it was asked."""

from collections.abc import Mapping
from pathlib import Path

from ddim_edge.session import Array, Session


class CountingSession(Session):
    """Keeps the number of rows and the timesteps of every call."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "cpu")
        self.calls: list[int] = []
        self.timesteps: list[list[int]] = []

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.calls.append(len(feeds["sample"]))
        self.timesteps.append(feeds["timestep"].reshape(-1).tolist())
        return super().run(feeds)
