"""Health checks and Prometheus metrics; health and models also under KServe's v2 paths."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from ...version import __version__
from ..http.schemas import errors
from ..scheduling.async_engine import AsyncEngine

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"description": "Service unavailable"}}


def routes(engine: AsyncEngine) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["operation"])

    def live() -> Response:
        return _status_response(engine.engine_thread.alive, "live", "the engine has stopped")

    def ready() -> Response:
        if not engine.engine_thread.alive:
            return live()
        return _status_response(not engine.engine_thread.draining, "ready", "the server is stopping")

    for path, state, summary in (
        ("/health", live, "The same as /health/live"),
        ("/health/live", live, "Whether the engine thread is running"),
        ("/health/ready", ready, "Whether requests are accepted"),
        ("/v2/health/live", live, "KServe's name for /health/live"),
        ("/v2/health/ready", ready, "KServe's name for /health/ready"),
    ):
        router.add_api_route(path, state, summary=summary, responses=_UNAVAILABLE, response_model=None)

    @router.get("/metrics", response_class=Response, responses=errors(403))
    def metrics() -> Response:
        return Response(engine.metrics.text(), headers={"Content-Type": _PROMETHEUS})

    @router.get("/v2", summary="KServe: the server")
    def server() -> dict[str, Any]:
        return {"name": "ddim-edge", "version": __version__, "extensions": []}

    @router.get("/v2/models/{model}", summary="KServe: a model", responses=errors(400, 403, 404))
    def model(model: str) -> dict[str, Any]:
        shape = engine.catalogue.find(model).image_shape()
        images = {"name": "images", "datatype": "UINT8", "shape": [-1, *shape[1:], shape[0]]}
        return {"name": model, "versions": [], "platform": "onnx", "inputs": [], "outputs": [images]}

    @router.get(
        "/v2/models/{model}/ready",
        summary="KServe: whether a model accepts requests",
        responses=_UNAVAILABLE | errors(400, 403, 404),
        response_model=None,
    )
    def model_ready(model: str) -> Response:
        engine.catalogue.find(model)
        return ready()

    return router


def _status_response(ok: bool, good: str, bad: str) -> Response:
    return JSONResponse({"status": good if ok else bad}, 200 if ok else 503)
