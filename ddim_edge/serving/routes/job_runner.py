"""Makes the jobs of ``/v1/jobs`` in this process, and reports them to the store."""

import asyncio
import logging
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

from ..errors import Cancelled, Draining, EngineDead, StoreFailed
from ..http.access_log import log_job
from ..http.arrival import Arrival
from ..http.asked import Asked, check_body
from ..http.error_responses import error_body, logged_error, request_error_of
from ..http.image_response import Answer, json_object, submit_body
from ..http.schemas import ImageBody
from ..scheduling.async_engine import AsyncEngine
from ..scheduling.submission import State
from ..stores.client_limit import ClientLimit, client_limit
from ..stores.jobs import BEAT_S, End, Order, Report, StoredJob
from ..stores.opening import Stores
from .images import publisher

LOG = logging.getLogger("ddim_edge.serving")
T = TypeVar("T")


@dataclass(eq=False)
class RunningJob:
    """A job that this process makes."""

    order: Order
    response: Answer
    task: asyncio.Task[End] = field(init=False)

    def report(self) -> Report:
        """Where it is."""
        return Report("queued" if self.response.is_queued else "running", self.response.calls)

    async def previews(self) -> list[str]:
        """The current estimates of its running images, in base64, ordered by index."""
        return [image.b64_json for image in await self.response.previews()]


class JobRunner:
    """Makes jobs: those that this process accepted, and those that it claims from a shared store."""

    def __init__(self, engine: AsyncEngine, stores: Stores) -> None:
        self._engine, self._stores = engine, stores
        self._store, self._clock = stores.jobs, engine.engine_thread.clock
        self.running: dict[str, RunningJob] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        if self._store.shared:
            work = (self._report, self._claim) if self._engine.settings.make_jobs else (self._report,)
            self._loops = [asyncio.create_task(_forever(each)) for each in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for loop in self._loops:
            loop.cancel()
        if self.running:
            await asyncio.wait([each.task for each in self.running.values()], timeout=2 * BEAT_S)
        await self._stores.close()

    async def add(self, body: ImageBody, arrival: Arrival, base_url: str, request_id: str) -> StoredJob:
        """Store and begin a job. A body without a seed gets one. Raises what ``submit_body`` does, and StoreFailed."""
        self._engine.allowed(body.model, arrival.key)
        seed = secrets.randbelow(2**31) if body.seed is None else body.seed
        body = body.model_copy(update={"seed": seed})
        if self._store.hands_out:
            return await self._queue(body, arrival, base_url, request_id)
        response = self._submit(body, arrival, base_url)
        order = _order(body, response.asked, arrival, base_url, request_id)
        try:
            await self._store.add(order, self._limit(arrival))
        except BaseException:
            response.cancel()
            raise
        self._follow(order, response)
        return await self.get(order.id)

    async def _queue(self, body: ImageBody, arrival: Arrival, base_url: str, request_id: str) -> StoredJob:
        """Store a job for whichever process claims it."""
        self._engine.engine_thread.check_open()
        order = _order(body, check_body(self._engine, body), arrival, base_url, request_id)
        await self._store.add(order, self._limit(arrival))
        return StoredJob(order, Report("queued", 0))

    def _limit(self, arrival: Arrival) -> ClientLimit:
        return client_limit(arrival.key, self._engine.settings.max_per_client)

    async def get(self, job_id: str) -> StoredJob:
        """The job with an id; raises NotFound for an unknown or expired one."""
        if job_id in self.running:
            running = self.running[job_id]
            return StoredJob(running.order, running.report())
        return await self._store.get(job_id)

    async def remove(self, job_id: str) -> StoredJob:
        """Cancel a job that has not ended; delete one that has.

        Of a job of this process, the end is awaited; another process sees within BEAT_S that the job has ended.
        """
        running = self.running.get(job_id)
        if running is not None:
            running.response.cancel()
            return StoredJob(running.order, await asyncio.shield(running.task))
        job = await self._store.get(job_id)
        if job.ended:
            await self._store.delete(job_id)
            return job
        await self._store.end(job_id, _failed(Cancelled("the request was cancelled"), job.now.calls))
        return await self._store.get(job_id)

    def _submit(self, body: ImageBody, arrival: Arrival, base_url: str) -> Answer:
        publish, longest_s = publisher(self._stores.images, base_url), self._engine.settings.job_timeout_s
        return submit_body(self._engine, body, publish, arrival, longest_s=longest_s)

    def _follow(self, order: Order, response: Answer) -> None:
        self.running[order.id] = running = RunningJob(order, response)
        running.task = asyncio.create_task(self._make(running))

    async def _make(self, running: RunningJob) -> End:
        """Wait for the images and store them, or the error; returns the end of the job."""
        start, order, response = self._clock(), running.order, running.response
        try:
            try:
                result, error = await json_object(response), None
                end = End("done", response.calls, result)
            except Exception as caught:
                error, end = caught, _failed(caught, response.calls)
            self._record(order, end, error, self._clock() - start)
            if not (self._store.shared and isinstance(error, (Draining, EngineDead))):  # then another process makes it
                await _until_stored(lambda: self._store.end(order.id, end))
            return end
        finally:
            del self.running[order.id]

    def _record(self, order: Order, end: End, error: Exception | None, seconds: float) -> None:
        """Write its end to the log and the metrics."""
        reason = None
        if error is not None:
            reason = logged_error({"state": {"request_id": order.request_id}}, error).code
        log_job(order.id, order.request_id, end.status, seconds, reason)
        self._engine.metrics.job(order.model, end.status, reason)

    async def _report(self) -> None:
        """Tell the store where the running jobs are, and stop those that were ended elsewhere."""
        await asyncio.sleep(BEAT_S)
        reports = {job_id: running.report() for job_id, running in self.running.items()}
        for job_id in await self._store.report(reports) if reports else ():
            if job_id in self.running:
                self.running[job_id].response.cancel()

    async def _claim(self) -> None:
        """Begin jobs of the store, as many as there is room for."""
        engine, settings = self._engine.engine_thread, self._engine.settings
        room = min(settings.max_rows - len(self.running), settings.max_queue - engine.queued)
        if room <= 0 or self._engine.leaving or engine.draining:
            await asyncio.sleep(BEAT_S)
            return
        for order in await self._store.claim(self._engine.catalogue.names, room):
            if order.id not in self.running:  # its own, after a time without reports
                await self._begin(order)

    async def _begin(self, order: Order) -> None:
        """Begin a claimed job; one that cannot be begun has failed."""
        arrived = self._clock() - max(0.0, time.time() - order.created)
        try:
            body = ImageBody.model_validate(order.body)
            self._follow(order, self._submit(body, Arrival(order.request_id, arrived), order.base_url))
        except (Draining, EngineDead):  # another process takes it
            return
        except Exception as error:
            end = _failed(error, 0)
            self._record(order, end, error, 0.0)
            await self._store.end(order.id, end)


def _order(body: ImageBody, asked: Asked, arrival: Arrival, base_url: str, request_id: str) -> Order:
    return Order(
        id=f"job-{uuid.uuid4().hex}",
        model=asked.bundle.name,
        body=body.model_dump(exclude_unset=True),
        request_id=request_id,
        created=int(time.time()),
        base_url=base_url,
        total=asked.calls,
        client=arrival.client,
        rows_per_call=asked.request.rows,
    )


def _failed(error: Exception, calls: int) -> End:
    status: State = "cancelled" if isinstance(error, Cancelled) else "failed"
    return End(status, calls, None, error_body(request_error_of(error))["error"])


async def _forever(work: Callable[[], Awaitable[None]]) -> None:
    """Repeat ``work``, also after errors of the store."""
    while True:
        await _until_stored(work)


async def _until_stored(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat ``work`` until the store can be reached; returns what it returns."""
    while True:
        try:
            return await work()
        except StoreFailed as error:
            LOG.error("%s", error)
            await asyncio.sleep(BEAT_S)
