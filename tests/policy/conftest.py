"""A tiny policy, and one whose time is made up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge import Policy
from tests.helpers.policy_bundles import write_policy


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny policy. Leave it as it is."""
    return write_policy(tmp_path_factory.mktemp("policies") / "tiny")


@pytest.fixture
def policy(policy_folder: Path) -> Policy:
    """The tiny policy, which has measured nothing."""
    return ddim_edge.load_policy(policy_folder, "cpu", warm_up=False)


class FakeClock:
    """A clock that stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.call_s, self.encoder_s = 0.01, 0.004

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timed(policy_folder: Path, clock: FakeClock) -> Policy:
    """The tiny policy on the made-up clock: every network call takes ``call_s``, the encoder ``encoder_s``."""
    policy = ddim_edge.load_policy(policy_folder, "cpu", warm_up=False, clock=clock)
    policy.network.denoiser.on_call = lambda _rows, _seconds: clock.sleep(clock.call_s)
    policy.network.encode = _slowed(policy.network.encode, clock)  # type: ignore[method-assign]
    policy.warm_up()
    return policy


def _slowed(encode: Callable[..., Any], clock: FakeClock) -> Callable[..., Any]:
    def slow(observations: Any) -> Any:
        clock.sleep(clock.encoder_s)
        return encode(observations)

    return slow
