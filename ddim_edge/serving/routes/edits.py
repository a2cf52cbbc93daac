"""``POST /v1/images/edits`` and ``/v1/images/variations``: images from an uploaded picture."""

import asyncio
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from ...errors import LONGEST_SHOWN
from ...generation.requests.origin import Origin
from ..errors import BadRequest
from ..http import responses
from ..http.body_to_request import parse_size
from ..http.forms import read_form
from ..http.image_response import submit_body
from ..http.schemas import EditBody, ImageBody, ImagesBody, VariationBody, errors
from ..http.uploads import decode_origin
from ..scheduling.async_engine import AsyncEngine
from .generations import EVENTS, GENERATION_ERRORS, partial_image_count
from .images import ImageStore, publisher

Body = TypeVar("Body", bound=BaseModel)


def routes(engine: AsyncEngine, store: ImageStore) -> APIRouter:
    """The router of ``/v1/images/edits`` and ``/v1/images/variations``."""
    router = APIRouter(prefix="/v1/images", tags=["OpenAI"])

    @router.post("/edits", **_route_options(EditBody, ("image", "mask"), EVENTS))
    async def edits(http: Request) -> Response:
        body, files = _parse_form(await read_form(http, max_files=2), EditBody, ("image", "mask"))
        origin = await _read_origin(engine, body, files)
        files.clear()
        http.state.body.release()
        response = submit_body(
            engine, body, publisher(store, http), origin=origin, partial_images=partial_image_count(body)
        )
        http.state.prompt = body.prompt
        if body.stream:
            return responses.stream_response(response, "image_edit")
        return await responses.json_response(http, response)

    @router.post("/variations", **_route_options(VariationBody, ("image",), {}))
    async def variations(http: Request) -> Response:
        body, files = _parse_form(await read_form(http, max_files=1), VariationBody, ("image",))
        origin = await _read_origin(engine, body, files)
        files.clear()
        http.state.body.release()
        return await responses.json_response(http, submit_body(engine, body, publisher(store, http), origin=origin))

    return router


async def _read_origin(engine: AsyncEngine, body: ImageBody, files: dict[str, UploadFile]) -> Origin:
    if "image" not in files:
        raise BadRequest("image: send the picture as a file of a multipart form", param="image")
    bundle = engine.catalogue.find(body.model)
    shape = bundle.image_shape(*parse_size(body, bundle))
    image = await files["image"].read()
    mask = await files["mask"].read() if "mask" in files else None
    return await asyncio.to_thread(decode_origin, image, mask, shape, engine.settings.max_pixels)


def _parse_form(form: FormData, schema: type[Body], wanted: tuple[str, ...]) -> tuple[Body, dict[str, UploadFile]]:
    """The text fields, validated by ``schema``, and the files; ``NAME[]`` is read as ``NAME``."""
    values: dict[str, Any] = {}
    files: dict[str, UploadFile] = {}
    for key, value in form.multi_items():
        name = key[:LONGEST_SHOWN].removesuffix("[]")
        if isinstance(value, UploadFile):
            if name not in wanted or name in files:
                raise BadRequest(f"{name}: expected one file for each of {', '.join(wanted)}", param=name)
            files[name] = value
        elif name == "labels":
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return schema.model_validate(values, strict=False), files


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """The field's schema without null: a form omits a field instead."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return field
    return {**{name: value for name, value in field.items() if name not in ("anyOf", "default")}, **kinds[0]}


def _route_options(schema: type[BaseModel], files: tuple[str, ...], content: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``router.post``, with the OpenAPI schema of the form, which FastAPI does not read itself."""
    fields = schema.model_json_schema()
    fields["properties"] = {name: _without_null(value) for name, value in fields["properties"].items()}
    fields["properties"] |= {name: {"type": "string", "format": "binary"} for name in files}
    fields["required"] = ["image"]
    body = {"required": True, "content": {"multipart/form-data": {"schema": fields}}}
    return {
        "response_model": None,
        "openapi_extra": {"requestBody": body},
        "responses": {200: {"model": ImagesBody, "content": content}, **errors(*GENERATION_ERRORS, 404)},
    }
