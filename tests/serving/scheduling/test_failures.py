"""What goes wrong for one request fails that request alone, and the thread goes on."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.errors import PredictionError
from ddim_edge.networks.components import Components
from ddim_edge.serving import AsyncEngine
from ddim_edge.serving.scheduling.submission import Ended, ImageDone
from tests.serving.gate import Gate
from tests.serving.scheduling.desk import Desk


class Broken(Components):
    """Components whose decoder fails."""

    def to_images(self, *_: Any, **__: Any) -> Any:
        raise PredictionError("vae_decoder returned NaN or infinity")

    def finished(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("the safety checker is out of order")


def test_an_image_that_cannot_be_decoded_fails_its_request_alone(tiny_bundle: Path, caplog: Any) -> None:
    desk = Desk(tiny_bundle)
    model = desk.loaded_model()
    ill, well = desk.ask(num_steps=2), desk.ask(num_steps=3)
    working, model.components = model.components, Broken(*model.components)
    desk.turn(2)
    model.components = working
    desk.turn()
    assert isinstance(ill.error, RuntimeError)
    assert [type(event) for event in well.heard] == [ImageDone, Ended]
    assert well.error is None
    assert "the safety checker is out of order" in caplog.text


def test_an_estimate_that_cannot_be_decoded_fails_the_request_that_asked_for_it(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    ill, well = desk.ask(num_steps=4, partials=1), desk.ask(num_steps=4)
    model = desk.loaded_model()
    working, model.components = model.components, Broken(*model.components)
    desk.turn(2)
    model.components = working
    desk.turn(2)
    assert isinstance(ill.error, PredictionError)
    assert well.error is None
    assert desk.rows == [2, 2, 1, 1]


def test_a_sampler_that_fails_fails_its_job_alone(tiny_bundle: Path) -> None:
    desk = Desk(tiny_bundle)
    ill, well = desk.ask(num_steps=3), desk.ask(num_steps=3)
    desk.turn()

    def dividing(sampler: Any) -> Generator[Any, Any, Any]:
        yield sampler.send((yield))
        1 / 0  # noqa: B018

    (job,) = ill.submission.jobs
    job.sampler = dividing(job.sampler)
    next(job.sampler)
    desk.turn(2)
    assert isinstance(ill.error, ZeroDivisionError)
    assert well.error is None


def test_who_looks_at_estimates_that_cannot_be_decoded_gets_the_error(tiny_bundle: Path) -> None:
    async def scenario() -> None:
        engine = AsyncEngine({"tiny": tiny_bundle})
        gate = Gate(engine, "tiny")
        model = engine.loaded_models.get("tiny")
        assert model is not None
        async with engine:
            ticket = engine.submit(engine.request(num_steps=3))
            await asyncio.to_thread(gate.wait)
            working, model.components = model.components, Broken(*model.components)
            gate.let()
            await asyncio.to_thread(gate.wait)
            looking = asyncio.ensure_future(ticket.estimates())
            while not engine.engine_thread._peeks:
                await asyncio.sleep(0)
            gate.let()
            with pytest.raises(PredictionError):
                await looking
            model.components = working
            gate.let()
            assert len(await ticket) == 1
            assert engine.engine_thread.alive

    asyncio.run(scenario())
