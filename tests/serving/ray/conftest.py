"""Without Ray Serve there is nothing to test; the process of the tests is no replica's own."""

import gc
from collections.abc import Iterator

import pytest

pytest.importorskip("ray.serve")


@pytest.fixture(autouse=True)
def _process_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddim_edge.serving.ray.replica._set_up_process", lambda _app: None)


@pytest.fixture(scope="session", autouse=True)
def _only_serve_awaits_destructors() -> Iterator[None]:
    """Garbage collection would call the coroutine of a replica that a test has made, and not await it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddim_edge.serving.ray.replica.ModelReplica.__del__", lambda _self: None)
        yield
        gc.collect()
