"""``POST /v1/images/generations`` and ``GET /v1/models``, compatible with OpenAI's clients."""

from functools import cache

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...bundle.bundle import Bundle
from ...diffusion.samplers import SAMPLERS, schedule_of
from ...errors import ConfigError
from ...generation.requests.guidance import default_guidance
from ...generation.requests.step_cache import caches_of
from ..errors import BadRequest
from ..http import responses
from ..http.arrival import arrival_of, key_of
from ..http.image_response import submit_body
from ..http.schemas import GenerationBody, ImagesBody, ModelBody, ModelExtension, ModelList, errors
from ..scheduling.async_engine import AsyncEngine
from ..stores.images import ImageStore
from .images import base_url, publisher

GENERATION_ERRORS = (400, 403, 413, 429, 500, 503, 504)


def partial_image_count(body: GenerationBody) -> int:
    """The number of partial images; raises BadRequest for options that need a stream, or do not work with one."""
    if body.partial_images and not body.stream:
        raise BadRequest("partial_images needs stream: true", param="partial_images")
    if body.stream and body.response_format == "url":
        raise BadRequest("response_format: a stream supports only b64_json", param="response_format")
    return body.partial_images or 0


def routes(engine: AsyncEngine, store: ImageStore, started: int) -> APIRouter:
    """The router of ``/v1/images/generations`` and ``/v1/models``; ``started``: the start in Unix seconds."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    @cache
    def describe(name: str) -> ModelBody:
        """Kept, because it takes milliseconds: it builds a schedule of each sampler."""
        return describe_model(engine.catalogue.bundles[name], started)

    @router.post(
        "/images/generations",
        summary="Make images",
        response_model=None,
        responses={
            200: {"model": ImagesBody, "description": "Images, or events with `stream`", "content": EVENTS},
            **errors(*GENERATION_ERRORS, 404),
        },
    )
    async def generations(body: GenerationBody, http: Request) -> Response:
        arrival, partials = arrival_of(http, engine.settings), partial_image_count(body)
        response = submit_body(engine, body, publisher(store, base_url(http)), arrival, partial_images=partials)
        http.state.prompt = body.prompt
        if body.stream:
            return responses.naming_ignored(responses.stream_response(http, response, "image_generation"), body)
        return responses.naming_ignored(await responses.json_response(http, response), body)

    @router.get("/models", summary="The models, what each can, and its defaults", responses=errors(403))
    async def models(http: Request) -> ModelList:
        key = key_of(http)
        allowed = [name for name in engine.catalogue.image_models if key is None or key.allows(name)]
        return ModelList(object="list", data=[describe(name) for name in allowed])

    @router.get("/models/{model}", summary="One model", responses=errors(400, 403, 404))
    async def model(model: str, http: Request) -> ModelBody:
        return describe(engine.allowed(model, key_of(http)))

    return router


EVENTS = {"text/event-stream": {"schema": {"description": "Server-sent events with JSON as their data."}}}


def describe_model(bundle: Bundle, started: int) -> ModelBody:
    """A model in OpenAI's format, with the options that it supports and their defaults."""
    _, height, width = bundle.image_shape()
    extension = ModelExtension(
        text=bundle.inputs.text,
        labels=list(bundle.labels),
        samplers=[name for name in SAMPLERS if _supports(bundle, name)],
        caches=list[str](caches_of(bundle)),
        sampler=bundle.scheduler.name if bundle.scheduler else None,
        num_inference_steps=bundle.num_steps,
        guidance=bundle.null_class is not None or bundle.inputs.text,
        guidance_scale=default_guidance(bundle),
        negative_prompt=bundle.inputs.takes_negative_prompt,
        default_negative_prompt=bundle.defaults.negative_prompt,
        size=(width, height),
        size_multiple=bundle.size_multiple,
    )
    return ModelBody(id=bundle.name, object="model", created=started, owned_by="ddim-edge", ddim_edge=extension)


def _supports(bundle: Bundle, sampler: str) -> bool:
    """Whether the sampler works with the model's noise schedule."""
    try:
        config = bundle.sampler(sampler)
        schedule_of(config, bundle.default_steps(config))
    except ConfigError:
        return False
    return True
