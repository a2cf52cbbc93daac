"""KServe's V2 protocol: requests in the engine, beside others, and without their clients."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from ddim_edge.serving import create_app
from tests.helpers.policy_bundles import observation
from tests.serving.gate import Exchange, Gate

from .asking import named, stacked


def test_requests_share_network_calls(folders: Mapping[str, Path]) -> None:
    app = create_app({"push": folders["push"]})
    gate, path = Gate(app.state.engine, "push"), "/v2/models/push/infer"
    inputs = [named(array, name) for name, array in stacked(observation()).items()]
    first, second = ({"inputs": inputs, "parameters": {"num_inference_steps": steps}} for steps in (4, 3))

    async def scenario() -> None:
        async with app.state.engine:
            long = Exchange(app, path, first)
            await asyncio.to_thread(gate.wait)
            short = Exchange(app, path, second)
            while app.state.engine.engine_thread.queued == 0:
                await asyncio.sleep(0)
            gate.let(4)
            await asyncio.gather(long.task, short.task)
            assert (long.status, short.status) == (200, 200)

    asyncio.run(scenario())
    assert gate.calls == [1, 2, 2, 2]


def test_who_goes_away_is_worked_for_no_longer(folders: Mapping[str, Path]) -> None:
    app = create_app({"push": folders["push"]})
    gate = Gate(app.state.engine, "push")
    inputs = [named(array, name) for name, array in stacked(observation()).items()]

    async def scenario() -> None:
        async with app.state.engine:
            exchange = Exchange(app, "/v2/models/push/infer", {"inputs": inputs})
            await asyncio.to_thread(gate.wait)
            exchange.leave()
            await asyncio.wait([exchange.task])
            gate.let()

    asyncio.run(scenario())
    assert gate.calls == [1]
