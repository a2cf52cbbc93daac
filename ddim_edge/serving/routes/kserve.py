"""``/v2``: KServe's V2 inference protocol: health checks, models, and inference of arrays."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from ...version import __version__
from ..errors import BadRequest
from ..http.arrival import arrival_of, key_of
from ..http.image_response import deadline_of
from ..http.infer_asked import check_infer, inputs_of, outputs_of
from ..http.infer_body import InferBody, InferResponse, read_infer
from ..http.infer_response import VERSION, infer_response, outputs_from
from ..http.responses import while_connected
from ..http.schemas import ErrorText, errors
from ..scheduling.async_engine import AsyncEngine
from .health import UNAVAILABLE, live_response, ready_response, status_response

_ERRORS = errors(400, 403, 404, 413, 429, 500, 503, 504, model=ErrorText)
_KNOWN = errors(400, 403, 404, model=ErrorText)
_METADATA = "KServe: a model, its inputs and its outputs"
_READY = "KServe: whether a model accepts requests: not where its files are gone, or it could not be loaded"
_HEADER_LENGTH = "Before binary data: how many bytes of the body are JSON."


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
        return {"name": "ddim-edge", "version": __version__, "extensions": ["binary_tensor_data"]}

    for version in ("", f"/versions/{VERSION}"):
        _add_model_routes(router, engine, f"/models/{{model}}{version}", in_document=not version)
    return router


def _add_model_routes(router: APIRouter, engine: AsyncEngine, path: str, *, in_document: bool) -> None:
    """The routes of a model below ``path``; ``in_document``: whether the OpenAPI document has them."""

    def metadata(model: str) -> dict[str, Any]:
        bundle, policy = engine.catalogue.find(model), engine.catalogue.policies.get(model)
        inputs, outputs = inputs_of(bundle, policy), outputs_of(bundle, policy)
        tensors = {"inputs": [each._asdict() for each in inputs], "outputs": [each._asdict() for each in outputs]}
        return {"name": model, "versions": [VERSION], "platform": "onnx", **tensors}

    def model_ready(model: str) -> Response:
        if not engine.loaded_models.can_run(engine.catalogue.find(model).name):
            return status_response(False, "ready", "the model cannot be loaded: see the server's log")
        return ready_response(engine)

    async def infer(
        model: str,
        http: Request,
        inference_header_content_length: Annotated[int | None, Header(ge=0, description=_HEADER_LENGTH)] = None,
    ) -> Response:
        name = engine.allowed(model, key_of(http))
        return await _infer(engine, name, http, inference_header_content_length)

    ways: dict[str, Any] = {"include_in_schema": in_document}
    router.add_api_route(path, metadata, summary=_METADATA, responses=_KNOWN, **ways)
    ready: dict[str, Any] = {"summary": _READY, "response_model": None, "responses": UNAVAILABLE | _KNOWN}
    router.add_api_route(f"{path}/ready", model_ready, **ready, **ways)
    router.add_api_route(f"{path}/infer", infer, methods=["POST"], **_INFER, **ways)


async def _infer(engine: AsyncEngine, name: str, http: Request, header_length: int | None) -> Response:
    """Read the request, run it beside all others, and answer; the engine forgets it when the client disconnects."""
    if http.headers.get("content-encoding", "identity") != "identity":
        raise BadRequest("Content-Encoding: this server takes bodies as they are: send it uncompressed")
    settings, arrival = engine.settings, arrival_of(http, engine.settings)
    given = read_infer(await http.body(), header_length, settings.max_json_bytes)
    asked = check_infer(engine, name, given)
    http.state.prompt = asked.prompt
    deadline = deadline_of(asked.timeout_s, arrival, settings.timeout_s)
    with engine.take_place(name, arrival.client, arrival.key) as place:
        ticket = engine.submit_on(place, asked.request, deadline, decisions=asked.decisions)
    outputs = await while_connected(http, outputs_from(ticket, asked.output))
    maker = ticket.submission.maker
    assert maker is not None  # it has made the outputs
    return infer_response(name, given, asked.told(maker), outputs)


def _body_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The body in the OpenAPI document, which FastAPI does not read itself."""
    return {"required": True, "content": {"application/json": {"schema": _inlined(schema, schema.pop("$defs"))}}}


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """A JSON schema with its parts where they are referred to."""
    if isinstance(schema, list):
        return [_inlined(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {name: _inlined(value, parts) for name, value in schema.items()}


_BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_INFER: dict[str, Any] = {
    "summary": "KServe: arrays in, arrays out",
    "response_model": None,
    "responses": {200: {"model": InferResponse, "content": _BINARY}, **_ERRORS},
    "openapi_extra": {"requestBody": _body_of(InferBody.model_json_schema())},
}
