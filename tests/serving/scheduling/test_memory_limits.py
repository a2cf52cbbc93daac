"""``max_memory`` of a server: its requests are planned like those of ``run``, with the rows of its largest call."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.errors import ConfigError
from ddim_edge.generation.memory import limit
from ddim_edge.generation.memory.plan import Needs, Plan
from ddim_edge.serving import AsyncEngine, Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="private memory is reported on Linux")


def engine(bundle: Path, max_memory: str) -> AsyncEngine:
    return AsyncEngine({"tiny": bundle}, Settings(provider="cpu", max_memory=max_memory))


def test_with_enough_memory_nothing_changes(tiny_bundle: Path) -> None:
    server = engine(tiny_bundle, "100GB")
    request = server.request(num_steps=2, labels=[0])
    assert request == AsyncEngine({"tiny": tiny_bundle}).request(num_steps=2, labels=[0])


def test_calls_have_the_rows_that_fit(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = list[int]()

    def choose(needs: Needs, _limit: int) -> Plan:
        planned.append(needs.rows)
        return Plan(rows=1)

    monkeypatch.setattr(limit, "choose", choose)
    rows = list[int]()

    async def scenario() -> np.ndarray:
        server = engine(tiny_bundle, "100GB")
        model = server.loaded_models.get("tiny")
        assert model is not None
        model.engine.denoiser.on_call = lambda count, _seconds: rows.append(count)
        async with server:
            images: np.ndarray = await server.submit(server.request(num_steps=2, labels=[0], guidance_scale=2.0))
        return images

    found = asyncio.run(scenario())
    assert rows == [1, 1, 1, 1]
    assert 16 in planned
    wanted = ddim_edge.load(tiny_bundle, "cpu").generate(num_steps=2, labels=[0], guidance_scale=2.0)
    np.testing.assert_allclose(found.astype(int), wanted.images, atol=1)


def test_a_limit_that_cannot_be_kept_is_told_at_the_start(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match=r"max_memory 0.01 GB is too little for tiny: it must be at least"):
        engine(tiny_bundle, "1MB")
    with pytest.raises(ConfigError, match="max_memory must be a size above 0"):
        Settings(max_memory="much")
