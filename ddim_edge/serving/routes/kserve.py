"""``/v2``: health checks and models under the paths of KServe's V2 inference protocol."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ...version import __version__
from ..http.schemas import errors
from ..scheduling.async_engine import AsyncEngine
from .health import UNAVAILABLE, live_response, ready_response, status_response


def routes(engine: AsyncEngine) -> APIRouter:
    """The router of ``/v2``."""
    router = APIRouter(prefix="/v2", tags=["operation"])
    health: dict[str, Any] = {"responses": UNAVAILABLE, "response_model": None}

    @router.get("/health/live", summary="KServe's name for /health/live", **health)
    def live() -> Response:
        return live_response(engine)

    @router.get("/health/ready", summary="KServe's name for /health/ready", **health)
    def ready() -> Response:
        return ready_response(engine)

    @router.get("", summary="KServe: the server")
    def server() -> dict[str, Any]:
        return {"name": "ddim-edge", "version": __version__, "extensions": []}

    @router.get("/models/{model}", summary="KServe: a model", responses=errors(400, 403, 404))
    def model(model: str) -> dict[str, Any]:
        shape = engine.catalogue.find(model).image_shape()
        images = {"name": "images", "datatype": "UINT8", "shape": [-1, *shape[1:], shape[0]]}
        return {"name": model, "versions": [], "platform": "onnx", "inputs": [], "outputs": [images]}

    @router.get(
        "/models/{model}/ready",
        summary="KServe: whether a model accepts requests: not where its files are gone, or it could not be loaded",
        responses=UNAVAILABLE | errors(400, 403, 404),
        response_model=None,
    )
    def model_ready(model: str) -> Response:
        if not engine.loaded_models.can_run(engine.catalogue.find(model).name):
            return status_response(False, "ready", "the model cannot be loaded: see the server's log")
        return ready_response(engine)

    return router
