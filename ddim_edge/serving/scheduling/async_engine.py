"""AsyncEngine: the engine for asyncio, without HTTP. Submit a request, then await its images or iterate over events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Generator
from functools import partial
from typing import Any, Self, Unpack

import numpy as np

from ...arrays import Pixels
from ...bundle.bundle import Bundle
from ...generation.requests.option_table import Options
from ...generation.requests.options import request_of
from ...generation.requests.request import Request
from ...runtime.hardware.memory import budget_bytes
from ..settings import DEFAULTS, Settings
from .catalogue import Catalogue, Models
from .engine_thread import Clock, EngineThread
from .loaded_models import LoadedModel, LoadedModels, load_model
from .metrics import Metrics
from .scheduler import Scheduler
from .submission import Ended, Event, ImageDone, Partial, Submission


class Ticket:
    """A submitted request: await it for its images, uint8 (N, H, W, C), or iterate over its events; not both.

    Both raise the error that ended the request. Cancelling the await, or leaving the iteration, cancels the request.
    """

    def __init__(
        self, engine_thread: EngineThread, model: str, request: Request, deadline: float, partial_images: int
    ) -> None:
        self._engine_thread, self._loop = engine_thread, asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.submission = Submission(model, request, self._on_event, deadline, partial_images)

    def _on_event(self, event: Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the event has no receiver
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def __aiter__(self) -> AsyncIterator[Partial | ImageDone]:
        try:
            while not isinstance(event := await self._events.get(), Ended):
                yield event
            if event.error is not None:
                raise event.error
        finally:
            self.cancel()

    def __await__(self) -> Generator[Any, None, Pixels]:
        return self._images().__await__()

    async def _images(self) -> Pixels:
        done = {event.index: event.image async for event in self if isinstance(event, ImageDone)}
        return np.stack([done[index] for index in sorted(done)])

    def cancel(self) -> None:
        """Stop the request before the next step; nothing happens if it has ended."""
        if self.submission.state in ("queued", "running"):
            self._engine_thread.cancel(self.submission)

    async def estimates(self) -> dict[int, Pixels]:
        """The current estimates of its running images by index, uint8 (H, W, C)."""
        future: asyncio.Future[dict[int, Pixels]] = self._loop.create_future()

        def on_estimates(images: dict[int, Pixels]) -> None:
            self._loop.call_soon_threadsafe(_set_result, future, images)

        self._engine_thread.peek(self.submission, on_estimates)
        return await future


def _set_result(future: asyncio.Future[dict[int, Pixels]], images: dict[int, Pixels]) -> None:
    if not future.done():
        future.set_result(images)


class AsyncEngine:
    """Several models that one engine thread runs.

    >>> async with AsyncEngine(["fashion-mnist"]) as engine:
    ...     images = await engine.submit(engine.request(labels=["bag"], seed=7))

    Raises BundleError, ProviderError or ConfigError if a model cannot be served.
    """

    def __init__(self, models: Models, settings: Settings = DEFAULTS, *, clock: Clock = time.monotonic) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.leaving = False
        """Whether the process is about to stop: requests are still accepted, but no more should be sent."""
        self.catalogue = Catalogue(models)
        self.loaded_models = LoadedModels(self.catalogue, settings.max_models, self._model_loader())
        if settings.preload:
            self.loaded_models.preload()
        self.scheduler = Scheduler(self.loaded_models, self.metrics.image)
        self.engine_thread = EngineThread(self.scheduler, settings.max_queue, clock)
        self.metrics.watch_queue(lambda: self.engine_thread.queued)

    def _model_loader(self) -> Callable[[Bundle], LoadedModel]:
        settings = self.settings
        budget = budget_bytes() if settings.max_memory_bytes is None else settings.max_memory_bytes
        return partial(
            load_model,
            provider=settings.provider,
            max_rows=settings.max_rows,
            budget=budget,
            on_call=self.metrics.network_call,
            on_warm_up=settings.warm_up,
        )

    def request(self, model: str | None = None, **options: Unpack[Options]) -> Request:
        """A checked request for ``model`` (None: the first one); ``Pipeline.generate`` documents the options."""
        return request_of(self.catalogue.find(model), options)

    def submit(
        self,
        request: Request,
        model: str | None = None,
        *,
        timeout_s: float | None = None,
        partial_images: int = 0,
    ) -> Ticket:
        """Queue ``request`` for ``model`` (None: the first one), with ``partial_images`` Partial events an image.

        ``timeout_s`` is counted from now; None: ``settings.timeout_s``. Raises NotFound, QueueFull, Draining or
        EngineDead.
        """
        name = self.catalogue.find(model).name
        seconds = self.settings.timeout_s if timeout_s is None else timeout_s
        ticket = Ticket(self.engine_thread, name, request, self.engine_thread.clock() + seconds, partial_images)
        self.engine_thread.start()  # a mounted application gets no start event
        self.engine_thread.submit(ticket.submission)
        return ticket

    async def aclose(self) -> None:
        """Refuse new requests, finish the running ones within ``settings.drain_s`` seconds, cancel the rest."""
        await asyncio.to_thread(self.engine_thread.close, self.settings.drain_s)
        self.loaded_models.close()

    async def __aenter__(self) -> Self:
        self.engine_thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
