"""A network that waits to be let through, so that a test decides what has happened when."""

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from ddim_edge.networks.denoiser import Answer
from ddim_edge.networks.row import Row
from ddim_edge.serving import AsyncEngine

_LONGEST = 60


class Gate:
    """In front of one model's network: every call says that it has come and waits until ``let`` allows it."""

    def __init__(self, engine: AsyncEngine, model: str) -> None:
        loaded = engine.loaded_models.get(model)
        assert loaded is not None
        self._denoiser = loaded.engine.denoiser
        self._predict = self._denoiser.predict_or_step
        self._denoiser.predict_or_step = self._wait  # type: ignore[method-assign]
        self._come, self._let = threading.Semaphore(0), threading.Semaphore(0)
        self.calls: list[int] = []

    def _wait(self, rows: Sequence[Row]) -> Sequence[Answer]:
        self.calls.append(len(rows))
        self._come.release()
        assert self._let.acquire(timeout=_LONGEST)
        return self._predict(rows)

    def wait(self) -> None:
        """Until a call has come."""
        assert self._come.acquire(timeout=_LONGEST)

    def let(self, calls: int = 1) -> None:
        """Let calls through."""
        for _ in range(calls):
            self._let.release()


class Exchange:
    """One HTTP exchange with an application, without a socket; the client may leave."""

    def __init__(
        self,
        app: FastAPI,
        path: str,
        body: dict[str, Any] | bytes,
        kind: str = "application/json",
        *,
        whole: bool = True,
    ) -> None:
        self._contents = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._whole, self._asked, self._left = whole, False, asyncio.Event()
        self.messages: list[Any] = []
        headers = [(b"content-type", kind.encode()), (b"host", b"testserver")]
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "server": ("testserver", 80),
            "client": ("testclient", 1),
            "state": {},
        }
        self.task = asyncio.ensure_future(app(self._scope, self._receive, self._send))

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._contents, "more_body": not self._whole}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def error(self) -> dict[str, Any]:
        body = b"".join(message.get("body", b"") for message in self.messages[1:])
        error: dict[str, Any] = json.loads(body)["error"]
        return error
