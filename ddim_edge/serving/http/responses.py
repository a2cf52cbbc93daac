"""An answer in one piece, or as server-sent events; a client that goes away ends either."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..errors import Cancelled
from .error_responses import error_body, request_error_of
from .image_response import EncodedImage, ImageResponse

_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
"""Nothing here has tokens, and clients expect the object."""


async def json_response(http: Request, response: ImageResponse) -> Response:
    """All images in one JSON object."""
    answer = asyncio.ensure_future(response.to_json())
    gone = asyncio.ensure_future(_disconnected(http))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise Cancelled("the client went away")
        return JSONResponse(answer.result())
    finally:
        for task in (answer, gone):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def stream_response(response: ImageResponse, prefix: str) -> Response:
    """Server-sent events ``PREFIX.partial_image`` and ``PREFIX.completed``, then the end."""
    return StreamingResponse(_events(response, prefix), media_type="text/event-stream")


async def _events(response: ImageResponse, prefix: str) -> AsyncIterator[str]:
    shown: dict[int, int] = {}
    try:
        async with contextlib.aclosing(response.images()) as images:
            async for image in images:
                number = shown.get(image.index, 0)
                shown[image.index] = number + 1
                event = _event(response, prefix, image, number)
                yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
    except Exception as error:  # the status line is out already: what is left is an event
        yield f"event: error\ndata: {json.dumps(error_body(request_error_of(error)))}\n\n"
    finally:
        response.ticket.cancel()


def _event(response: ImageResponse, prefix: str, image: EncodedImage, number: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "type": f"{prefix}.{'completed' if image.finished else 'partial_image'}",
        "b64_json": image.b64_json,
        "created_at": int(time.time()),
        "quality": "auto",
        "image_index": image.index,
        **response.common_fields(),
    }
    if image.finished:
        return {**event, "usage": _USAGE, **image.extra_fields}
    return {**event, "partial_image_index": number}
