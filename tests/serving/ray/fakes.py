"""Serve's handles for tests without a cluster."""

import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

from ddim_edge.serving import Settings
from ddim_edge.serving.ray.replica import ModelReplica

Reply = Callable[[dict[str, Any], bytes], AsyncIterator[dict[str, Any]]]


class FakeDeployment:
    """A handle whose calls ``reply`` answers."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.asked: list[tuple[dict[str, Any], bytes]] = []
        self.cancelled = 0

    def options(self, *, stream: bool) -> "FakeDeployment":
        assert stream
        return self

    @property
    def answer(self) -> "FakeDeployment":
        return self

    def remote(self, scope: dict[str, Any], body: bytes) -> "FakeDeployment":
        self.asked.append((pickle.loads(pickle.dumps(scope)), body))
        return self

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._reply(*self.asked[-1])

    def cancel(self) -> None:
        self.cancelled += 1


def of_a_model(model: str, settings: Settings) -> FakeDeployment:
    """A deployment with a real replica, made in the event loop of its first request."""
    made: list[Any] = []

    async def reply(scope: dict[str, Any], body: bytes) -> AsyncIterator[dict[str, Any]]:
        if not made:
            made.append(object.__new__(ModelReplica))
            await made[0].__init__([model], settings)
        async for message in made[0].answer(scope, body):
            yield message

    return FakeDeployment(reply)


def of_messages(*messages: dict[str, Any] | Exception) -> FakeDeployment:
    """A deployment that answers so, or raises the error."""

    async def reply(_scope: dict[str, Any], _body: bytes) -> AsyncIterator[dict[str, Any]]:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            yield message

    return FakeDeployment(reply)
