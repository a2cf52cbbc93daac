"""The engine for asyncio, without HTTP."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.errors import ConfigError
from ddim_edge.serving import AsyncEngine, Settings
from ddim_edge.serving.errors import Cancelled, Draining, NotFound
from ddim_edge.serving.scheduling.submission import ImageDone, Partial
from tests.serving.gate import Gate


def test_awaited_it_gives_the_pipelines_images(tiny_bundle: Path) -> None:
    async def scenario() -> None:
        async with AsyncEngine({"tiny": tiny_bundle}) as engine:
            tickets = [engine.submit(engine.request(num_images=3, num_steps=4, seed=seed)) for seed in range(5)]
            found = await asyncio.gather(*tickets)
        alone = ddim_edge.load(tiny_bundle, "cpu")
        for seed, images in enumerate(found):
            np.testing.assert_array_equal(images, alone.generate(num_images=3, num_steps=4, seed=seed).images)

    asyncio.run(scenario())


def test_iterated_it_gives_images_as_they_come(tiny_bundle: Path) -> None:
    async def scenario() -> None:
        async with AsyncEngine({"tiny": tiny_bundle}) as engine:
            ticket = engine.submit(engine.request(num_steps=4), partial_images=1)
            assert [type(event) async for event in ticket] == [Partial, ImageDone]

    asyncio.run(scenario())


def test_who_stops_waiting_cancels(tiny_bundle: Path) -> None:
    async def scenario() -> None:
        engine = AsyncEngine({"tiny": tiny_bundle})
        gate = Gate(engine, "tiny")
        async with engine:
            ticket = engine.submit(engine.request(num_steps=4))
            waiting = asyncio.ensure_future(asyncio.wait_for(ticket, 60))
            await asyncio.to_thread(gate.wait)
            waiting.cancel()
            await asyncio.wait([waiting])
            gate.let(4)
        assert ticket.submission.state == "cancelled"
        assert gate.calls == [1]

    asyncio.run(scenario())


def test_cancelled_by_its_owner_it_says_so(tiny_bundle: Path) -> None:
    async def scenario() -> None:
        engine = AsyncEngine({"tiny": tiny_bundle})
        gate = Gate(engine, "tiny")
        async with engine:
            ticket = engine.submit(engine.request(num_steps=4))
            await asyncio.to_thread(gate.wait)
            ticket.cancel()
            gate.let(4)
            with pytest.raises(Cancelled):
                await ticket

    asyncio.run(scenario())


def test_what_cannot_be_is_refused_before_it_is_queued(tiny_bundle: Path) -> None:
    async def scenario() -> None:
        async with AsyncEngine({"tiny": tiny_bundle}) as engine:
            with pytest.raises(NotFound, match="tinny"):
                engine.request("tinny")
            with pytest.raises(ConfigError, match="Did you mean 'cat'"):
                engine.request(labels=["kat"])
            engine.engine_thread.start_draining()
            with pytest.raises(Draining):
                engine.submit(engine.request())

    asyncio.run(scenario())


@pytest.mark.parametrize("options", [{"max_rows": 0}, {"timeout_s": -1}, {"max_images": 11}, {"api_key": " "}])
def test_settings_that_mean_nothing(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options)).replace("api_key", "API key")):
        Settings(**options)  # type: ignore[arg-type]


def test_no_model_two_of_one_name_and_one_that_is_not_there(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="no model to serve"):
        AsyncEngine([])
    with pytest.raises(ConfigError, match="two models are called 'tiny'"):
        AsyncEngine([tiny_bundle, f"tiny={tiny_bundle}"])
    with pytest.raises(ddim_edge.BundleError, match="nowhere"):
        AsyncEngine(["nowhere"])
