"""Image responses as one JSON object or as server-sent events; both end when the client disconnects."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..errors import Cancelled
from .error_responses import error_body, logged_error
from .image_response import Answer, EncodedImage, json_object
from .schemas import IGNORED, ImageBody

T = TypeVar("T")
_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
"""There are no tokens here, but OpenAI's clients expect the object."""


def naming_ignored(response: Response, body: ImageBody) -> Response:
    """The response with the header ``X-Ignored-Fields``, if the body has fields that change nothing here."""
    ignored = [name for name in IGNORED if getattr(body, name) is not None]
    if ignored:
        response.headers["X-Ignored-Fields"] = ", ".join(ignored)
    return response


async def json_response(http: Request, response: Answer) -> Response:
    """All images in one JSON object."""
    return JSONResponse(await while_connected(http, json_object(response)), headers=_headers(response))


async def while_connected(http: Request, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns; it is cancelled when the client disconnects, which raises Cancelled."""
    result = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_disconnected(http))
    try:
        await asyncio.wait({result, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise Cancelled("the client disconnected")
        return result.result()
    finally:
        for task in (result, disconnect):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def stream_response(http: Request, response: Answer, prefix: str) -> Response:
    """Server-sent events ``PREFIX.partial_image`` and ``PREFIX.completed``; ``error`` if the request fails."""
    events = _events(http, response, prefix)
    return StreamingResponse(events, media_type="text/event-stream", headers=_headers(response))


def _headers(response: Answer) -> dict[str, str]:
    return {} if response.cache_status is None else {"X-Cache": response.cache_status}


async def _events(http: Request, response: Answer, prefix: str) -> AsyncIterator[str]:
    partials: dict[int, int] = {}
    try:
        async with contextlib.aclosing(response.images()) as images:
            async for image in images:
                number = partials.get(image.index, 0)
                partials[image.index] = number + 1
                event = _event(response, prefix, image, number)
                yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
    except Exception as error:  # the status line has been sent, so the error is an event
        request_error = logged_error(http.scope, error)
        yield f"event: error\ndata: {json.dumps(error_body(request_error))}\n\n"
    finally:
        response.cancel()


def _event(response: Answer, prefix: str, image: EncodedImage, number: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "type": f"{prefix}.{'completed' if image.finished else 'partial_image'}",
        "b64_json": image.b64_json,
        "created_at": int(time.time()),
        "quality": "auto",
        "image_index": image.index,
        **response.asked.common_fields(),
    }
    if image.finished:
        return {**event, "usage": _USAGE, **image.extra_fields}
    return {**event, "partial_image_index": number}
