"""Health checks and Prometheus metrics: ``/health`` and ``/metrics``."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from ..http.schemas import errors
from ..scheduling.async_engine import AsyncEngine

UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"description": "Service unavailable"}}
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def routes(engine: AsyncEngine) -> APIRouter:
    """The router of ``/health`` and ``/metrics``."""
    router = APIRouter(tags=["operation"])

    async def live() -> Response:
        return live_response(engine)

    async def ready() -> Response:
        return ready_response(engine)

    for path, state, summary in (
        ("/health", live, "The same as /health/live"),
        ("/health/live", live, "Whether the engine thread is running"),
        ("/health/ready", ready, "Whether requests are accepted"),
    ):
        router.add_api_route(path, state, summary=summary, responses=UNAVAILABLE, response_model=None)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response, responses=errors(403))
    def metrics() -> Response:
        return Response(engine.metrics.text(), headers={"Content-Type": _PROMETHEUS})

    return router


def live_response(engine: AsyncEngine) -> Response:
    """200 while the engine thread is running, 503 after it has failed."""
    return status_response(engine.engine_thread.alive, "live", "the engine has stopped")


def ready_response(engine: AsyncEngine) -> Response:
    """200 while requests should be sent, 503 after the signal to stop or after the engine thread has failed."""
    if not engine.engine_thread.alive:
        return live_response(engine)
    stopping = engine.leaving or engine.engine_thread.draining
    return status_response(not stopping, "ready", "the server is stopping")


def status_response(ok: bool, good: str, bad: str) -> Response:
    """200 with the status ``good``, or 503 with ``bad``."""
    return JSONResponse({"status": good if ok else bad}, 200 if ok else 503)
