"""AsyncEngine: the engine for asyncio, without HTTP. Submit a request, then await its images or iterate over events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import Any, Self, Unpack

import numpy as np

from ...arrays import Array, Pixels
from ...bundle.bundle import Bundle
from ...generation.requests.option_table import Options
from ...generation.requests.options import request_of
from ...generation.requests.request import Request
from ...policy.stateless import Decisions
from ...runtime.hardware.memory import budget_bytes
from ..api_keys import ApiKey
from ..errors import ModelForbidden
from ..settings import DEFAULTS, Settings
from .admission import Admission, Place
from .catalogue import Catalogue, Models
from .engine_thread import Clock, EngineThread, Estimates
from .loaded_model import LoadedModel, load_model
from .loaded_models import LoadedModels
from .memory_limits import MemoryLimits
from .metrics import Metrics
from .pace import Pace
from .result_cache import ResultCache
from .scheduler import Scheduler
from .submission import Ended, Event, ImageDone, Partial, Submission


class Ticket:
    """A submitted request: await it for its images, (N, …) as in ``ImageDone``, or iterate over its events; not both.

    Both raise the error that ended the request. Cancelling the await, or leaving the iteration, cancels the request.
    """

    def __init__(
        self,
        engine_thread: EngineThread,
        place: Place,
        request: Request,
        deadline: float,
        *,
        partial_images: int = 0,
        decisions: Decisions | None = None,
    ) -> None:
        self._engine_thread, self._loop = engine_thread, asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.submission = Submission(
            place.model,
            request,
            self._on_event,
            deadline,
            partial_images=partial_images,
            client=place.client,
            decisions=decisions,
        )

    def _on_event(self, event: Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the event has no receiver
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def __aiter__(self) -> AsyncGenerator[Partial | ImageDone]:
        try:
            while not isinstance(event := await self._events.get(), Ended):
                yield event
            if event.error is not None:
                raise event.error
        finally:
            self.cancel()

    def __await__(self) -> Generator[Any, None, Array]:
        return self._images().__await__()

    async def _images(self) -> Array:
        done = {event.index: event.image async for event in self if isinstance(event, ImageDone)}
        return np.stack([done[index] for index in sorted(done)])

    def cancel(self) -> None:
        """Stop the request before the next step; nothing happens if it has ended."""
        if not self.submission.ended:
            self._engine_thread.cancel(self.submission)

    async def estimates(self) -> dict[int, Pixels]:
        """The current estimates of its running images by index, uint8 (H, W, C); raises the decoder's error."""
        future: asyncio.Future[dict[int, Pixels]] = self._loop.create_future()

        def on_estimates(estimates: Estimates) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_set_result, future, estimates)

        self._engine_thread.peek(self.submission, on_estimates)
        return await future


def _set_result(future: asyncio.Future[dict[int, Pixels]], estimates: Estimates) -> None:
    if future.done():
        return
    if isinstance(estimates, Exception):
        future.set_exception(estimates)
    else:
        future.set_result(estimates)


class AsyncEngine:
    """Several models that one engine thread runs.

    >>> async with AsyncEngine(["fashion-mnist"]) as engine:
    ...     images = await engine.submit(engine.request(labels=["bag"], seed=7))

    Raises BundleError, ProviderError or ConfigError if a model cannot be served.
    """

    def __init__(self, models: Models, settings: Settings = DEFAULTS, *, clock: Clock = time.monotonic) -> None:
        self.settings, self.metrics, self._pace = settings, Metrics(), Pace()
        self.leaving = False
        """Whether the process is about to stop: requests are still accepted, but no more should be sent."""
        self.results = self._result_cache()
        self.catalogue = Catalogue(models)
        self._memory = self._memory_limits()
        self.loaded_models = LoadedModels(self.catalogue, settings.max_models, self._model_loader())
        if settings.preload:
            self.loaded_models.preload()
        self.scheduler = Scheduler(self.loaded_models, self.metrics.image, self._on_begin)
        admission = Admission(settings.max_queue, settings.max_per_client, self._pace)
        self.engine_thread = EngineThread(self.scheduler, admission, clock)
        self.metrics.watch_queue(lambda: self.engine_thread.queued, lambda: self.engine_thread.running)

    def _model_loader(self) -> Callable[[Bundle], LoadedModel]:
        settings = self.settings
        budget = budget_bytes() if settings.max_memory_bytes is None else settings.max_memory_bytes
        return partial(
            load_model,
            provider=settings.provider,
            max_rows=settings.max_rows,
            budget=budget,
            on_call=self._on_call,
            on_warm_up=settings.warm_up,
            memory=self._memory,
        )

    def _result_cache(self) -> ResultCache | None:
        if self.settings.cache_bytes is None:
            return None
        cache = ResultCache(self.settings.cache_bytes)
        self.metrics.watch_cache(lambda: cache.bytes)
        return cache

    def _memory_limits(self) -> MemoryLimits | None:
        settings = self.settings
        if settings.max_memory is None:
            return None
        return MemoryLimits(self.catalogue.bundles, settings.provider, settings.max_memory, settings.max_rows)

    def _on_begin(self, submission: Submission) -> None:
        self.metrics.begun(submission.model, self.engine_thread.clock() - submission.queued_at)

    def _on_call(self, model: str, rows: int, seconds: float, shallow: bool) -> None:
        self.metrics.network_call(model, rows, seconds, shallow=shallow)
        self._pace.observe(model, rows, seconds, shallow=shallow)

    def request(self, model: str | None = None, **options: Unpack[Options]) -> Request:
        """A checked request for ``model`` (None: the first one); ``Pipeline.generate`` documents the options."""
        bundle = self.catalogue.find(model)
        return self.within_memory(request_of(bundle, options), bundle.name)

    def within_memory(self, request: Request, model: str) -> Request:
        """The request as it keeps ``settings.max_memory``. Raises ConfigError where the memory does not suffice."""
        return request if self._memory is None else self._memory.fit(request, model)

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
        seconds = self.settings.timeout_s if timeout_s is None else timeout_s
        deadline = self.engine_thread.clock() + seconds
        with self.take_place(model) as place:
            return self.submit_on(place, request, deadline, partial_images=partial_images)

    def take_place(self, model: str | None = None, client: str | None = None, key: ApiKey | None = None) -> Place:
        """A place in the queue of ``model`` (None: the first one), before the work that comes before ``submit_on``.

        ``client`` counts against ``settings.max_per_client``, or the limits of its ``key``; None: no limit. Raises
        NotFound, ModelForbidden, QueueFull, KeyLimit, Draining or EngineDead.
        """
        return self.engine_thread.take_place(self.allowed(model, key), client, key)

    def allowed(self, model: str | None, key: ApiKey | None) -> str:
        """The name of ``model`` (None: the first one). Raises NotFound, or ModelForbidden if ``key`` may not use it."""
        name = self.catalogue.find(model).name
        if key is not None and not key.allows(name):
            allowed = ", ".join(key.models or ()) or "none"
            raise ModelForbidden(f"your API key may not use the model {name}, only: {allowed}", param="model")
        return name

    def submit_on(
        self,
        place: Place,
        request: Request,
        deadline: float,
        *,
        partial_images: int = 0,
        decisions: Decisions | None = None,
    ) -> Ticket:
        """Queue ``request`` on its place; ``deadline`` is in seconds of the clock. A policy needs its ``decisions``.

        Raises KeyLimit, Draining or EngineDead.
        """
        ticket = Ticket(
            self.engine_thread, place, request, deadline, partial_images=partial_images, decisions=decisions
        )
        self.engine_thread.start()  # a mounted application gets no start event
        self.engine_thread.submit(ticket.submission, place)
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
