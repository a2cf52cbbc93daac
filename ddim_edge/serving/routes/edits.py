"""``POST /v1/images/edits`` and ``/v1/images/variations``: images from uploaded pictures."""

import dataclasses
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from ...arrays import Shape
from ...bundle.bundle import Bundle
from ...errors import LONGEST_SHOWN
from ...generation.requests.origin import Origin, control_name, ip_adapter_image_name
from ...generation.requests.picture import picture_shape
from ..errors import BadRequest
from ..http import responses
from ..http.arrival import arrival_of
from ..http.body_to_request import parse_size
from ..http.forms import read_form
from ..http.image_response import Answer, Publish, deadline_of, submit_body
from ..http.schemas import EditBody, ImageBody, ImagesBody, VariationBody, errors
from ..http.uploads import Decoders
from ..scheduling.async_engine import AsyncEngine
from ..stores.images import ImageStore
from .generations import EVENTS, GENERATION_ERRORS, partial_image_count
from .images import base_url, publisher

Body = TypeVar("Body", bound=BaseModel)
_MOST_ADAPTERS = 4
_PROMPTS = tuple(ip_adapter_image_name(index) for index in range(_MOST_ADAPTERS))
_MOST_CONTROLS = 4
_CONTROLS = tuple(control_name(index) for index in range(_MOST_CONTROLS))
_EDITED = ("image", "mask", *_CONTROLS, *_PROMPTS)
"""The files of an edit: a picture and its mask, and an image for each ControlNet and each IP-Adapter of the model."""


def routes(engine: AsyncEngine, store: ImageStore, decoders: Decoders) -> APIRouter:
    """The router of ``/v1/images/edits`` and ``/v1/images/variations``."""
    router = APIRouter(prefix="/v1/images", tags=["OpenAI"])

    @router.post("/edits", summary="Change a picture, or a part of it", **_route_options(EditBody, _EDITED, EVENTS))
    async def edits(http: Request) -> Response:
        body, files = _parse_form(await read_form(http, max_files=len(_EDITED)), EditBody, _EDITED)
        partials = partial_image_count(body)
        response = await _submit(engine, decoders, http, body, files, publisher(store, base_url(http)), partials)
        http.state.prompt = body.prompt
        if body.stream:
            return responses.naming_ignored(responses.stream_response(http, response, "image_edit"), body)
        return responses.naming_ignored(await responses.json_response(http, response), body)

    @router.post("/variations", summary="Make variations of a picture", **_route_options(VariationBody, ("image",), {}))
    async def variations(http: Request) -> Response:
        body, files = _parse_form(await read_form(http, max_files=1), VariationBody, ("image",))
        response = await _submit(engine, decoders, http, body, files, publisher(store, base_url(http)), 0)
        return responses.naming_ignored(await responses.json_response(http, response), body)

    return router


async def _submit(
    engine: AsyncEngine,
    decoders: Decoders,
    http: Request,
    body: ImageBody,
    files: dict[str, UploadFile],
    publish: Publish,
    partial_images: int,
) -> Answer:
    """Take a place in the model's queue, then decode the files, then submit the body."""
    if not files.keys() & {"image", _CONTROLS[0], _PROMPTS[0]}:
        raise BadRequest("image: send the picture as a file of a multipart form", param="image")
    bundle, arrival = engine.catalogue.find(body.model), arrival_of(http, engine.settings)
    picture, sides = bundle.inputs.picture, parse_size(body, bundle)
    if picture is not None and "mask" in files:
        raise BadRequest(f"mask: {bundle.name} takes a picture, and no mask: leave it out", param="mask")
    shape = bundle.image_shape(*sides) if picture is None else picture_shape(bundle, *sides)
    with engine.take_place(bundle.name, arrival.client, arrival.key) as place:
        left = deadline_of(body.timeout_s, arrival, engine.settings.timeout_s) - engine.engine_thread.clock()
        origin = await _read_origin(decoders, files, shape, bundle, left)
        if picture is not None:
            origin = dataclasses.replace(origin, image=None, picture=origin.image)
        http.state.body.release()
        return submit_body(engine, body, publish, arrival, origin=origin, place=place, partial_images=partial_images)


async def _read_origin(
    decoders: Decoders, files: dict[str, UploadFile], shape: Shape, bundle: Bundle, seconds: float
) -> Origin:
    """Decode the files, and free them. BadRequest for a wrong number of images for additions, and for a mask alone."""
    contents = {name: await file.read() for name, file in files.items()}
    files.clear()
    prompts, controls = bundle.image_prompts, bundle.controls
    images = _listed(contents, _PROMPTS, len(prompts.adapters), "IP-Adapters")
    steering = _listed(contents, _CONTROLS, len(controls), "ControlNets")
    if "mask" in contents and "image" not in contents:
        raise BadRequest("mask: it needs the image that it is for", param="image")
    pictures = tuple([await decoders.decode_for_encoder(image, prompts, seconds) for image in images])
    shapes = [(control.channels, *shape[1:]) for control in controls]
    samples = tuple([await decoders.decode_control(*each, seconds) for each in zip(steering, shapes, strict=False)])
    origin = Origin()
    if "image" in contents:
        origin = await decoders.decode(contents["image"], contents.get("mask"), shape, seconds)
    return dataclasses.replace(origin, ip_adapter_images=pictures, controls=samples)


def _listed(contents: dict[str, bytes], names: tuple[str, ...], count: int, what: str) -> list[bytes]:
    """The files of these names. BadRequest where there are some, but not one for each of the model's additions."""
    found = [contents[name] for name in names if name in contents]
    if found and len(found) != count:
        raise BadRequest(f"{names[0]}: the model has {count} {what}, not {len(found)}", param=names[0])
    return found


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
        elif name in ("labels", "control_scale", "ip_adapter_scale"):
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
    fields["required"] = [] if _PROMPTS[0] in files else ["image"]
    body = {"required": True, "content": {"multipart/form-data": {"schema": fields}}}
    return {
        "response_model": None,
        "openapi_extra": {"requestBody": body},
        "responses": {200: {"model": ImagesBody, "content": content}, **errors(*GENERATION_ERRORS, 404)},
    }
