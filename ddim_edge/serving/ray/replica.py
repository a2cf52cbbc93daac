"""The processes that make images: each has models and an engine of its own."""

import asyncio
import os
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI
from starlette.types import Message, Scope

from ...text import TruncationWarning
from ..api_keys import ApiKeys
from ..app import create_app
from ..logs import log_to_stderr
from ..server import SWITCH_S
from ..settings import Settings
from .metrics import RayMetrics

_KEY_VARIABLE = "DDIM_EDGE_API_KEY"
_KEYS_VARIABLE = "DDIM_EDGE_SERVE_API_KEYS"
_UPKEEP_S = 5.0
"""Seconds between two copies of the metrics, and between two looks at the file of API keys."""


class Replica:
    """One process with an engine of its own: requests share network calls within it."""

    def __init__(self, models: list[str], settings: Settings) -> None:
        self._models, self._settings = models, settings
        self._app: FastAPI | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, made here: Serve would pickle one that is made before."""
        self._app = app = app_of(self._models, self._settings)
        return app

    def check_health(self) -> None:
        """Raise RuntimeError after the engine thread has failed: Serve replaces the replica."""
        if self._app is not None and not self._app.state.engine.engine_thread.alive:
            raise RuntimeError("the engine thread has stopped after an internal error")


class ModelReplica(Replica):
    """A replica behind the ingress, which calls ``answer``: Serve allows an application one ASGI deployment."""

    async def __init__(self, models: list[str], settings: Settings) -> None:  # type: ignore[misc]
        super().__init__(models, settings)
        app = self.__serve_build_asgi_app__()
        self._lifespan = app.router.lifespan_context(app)
        await self._lifespan.__aenter__()

    async def __del__(self) -> None:
        """Serve awaits it before it ends the process."""
        await self.aclose()

    async def aclose(self) -> None:
        """Finish the running requests."""
        await self._lifespan.__aexit__(None, None, None)

    async def answer(self, scope: Scope, body: bytes) -> AsyncIterator[Message]:
        """The ASGI messages of the response to a request; leaving the iteration cancels the request."""
        assert self._app is not None
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        request = asyncio.create_task(self._app(scope, _Body(body).receive, messages.put))
        request.add_done_callback(lambda _: messages.put_nowait(None))
        try:
            while (message := await messages.get()) is not None:
                yield message
        finally:
            request.cancel()


class _Body:
    """ASGI's receive for a body that has been read; the client stays until the request is cancelled."""

    def __init__(self, body: bytes) -> None:
        self._message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def receive(self) -> Message:
        """The body, once."""
        message, self._message = self._message, None
        if message is None:
            await asyncio.Event().wait()
            raise AssertionError("never set")
        return message


def app_of(models: list[str], settings: Settings) -> FastAPI:
    """The application of a process, with the API keys of its own machine; sets up the process."""
    app = create_app(models, with_keys(settings))
    _set_up_process(app)
    return app


def with_keys(settings: Settings) -> Settings:
    """``settings`` with the API keys of this machine's file, or of the environment."""
    file = settings.api_keys.file if settings.api_keys is not None else os.environ.get(_KEYS_VARIABLE)
    if file is not None:
        return replace(settings, api_keys=ApiKeys(Path(file)))
    return replace(settings, api_key=settings.api_key or os.environ.get(_KEY_VARIABLE))


def _set_up_process(app: FastAPI) -> None:
    """Log as ``ddim-edge serve`` does, let the engine thread have the interpreter sooner, and start the upkeep."""
    settings: Settings = app.state.engine.settings
    log_to_stderr(settings.log_prompts)
    if not settings.log_prompts:  # the warning quotes the words that were cut off
        warnings.simplefilter("ignore", TruncationWarning)
    sys.setswitchinterval(SWITCH_S)
    threading.Thread(target=_keep_up, args=(app,), name="ddim-edge-upkeep", daemon=True).start()


def _keep_up(app: FastAPI) -> None:
    """Copy the metrics to Ray's, and read the API keys again where their file has changed; never ends."""
    engine = app.state.engine
    metrics, keys = RayMetrics(engine.metrics.registry), engine.settings.api_keys
    while True:
        metrics.copy()
        if keys is not None:
            keys.reload_if_changed()
        time.sleep(_UPKEEP_S)
