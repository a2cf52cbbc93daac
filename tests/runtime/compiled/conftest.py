"""A cache of each test's own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))
