"""Answers one request to Triton: its images, or an error, as responses.

The backend's module gets most of its names after model.py has been imported: annotations with them are texts.
"""

import asyncio
import contextlib
import json
import logging
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from ..serving.http.asked import Asked, check_body
from ..serving.http.error_responses import Internal, request_error_of
from ..serving.scheduling.async_engine import AsyncEngine, Ticket
from ..serving.scheduling.submission import ImageDone, Partial
from .body import TritonBody, body_of
from .tensors import tensor

LOG = logging.getLogger("ddim_edge.triton")
_POLL_S = 0.1
"""Seconds between two looks at whether the client has cancelled the request."""


async def answer(engine: AsyncEngine, parameters: str, sender: Any) -> None:
    """Send each partial and finished image when it is there, then the final flag; or the error that ended the request.

    ``parameters``: the request's, as JSON. ``sender``: its response sender.
    """
    final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
    try:
        await _send_images(engine, body_of(parameters), sender)
    except Exception as error:  # of whatever kind: only this request fails
        sender.send(pb_utils.InferenceResponse(error=_triton_error(error)), flags=final)
    else:
        sender.send(flags=final)


async def _send_images(engine: AsyncEngine, body: TritonBody, sender: Any) -> None:
    asked = check_body(engine, body)
    ticket = engine.submit(
        asked.request, asked.bundle.name, timeout_s=_seconds(engine, body), partial_images=body.partial_images or 0
    )
    watch = asyncio.create_task(_cancel_with(sender, ticket))
    try:
        async with contextlib.aclosing(aiter(ticket)) as events:
            async for event in events:
                sender.send(_response(event, asked, ticket))
    finally:
        watch.cancel()


def _seconds(engine: AsyncEngine, body: TritonBody) -> float:
    """The time limit of the request: its own, at most the server's."""
    longest = engine.settings.timeout_s
    return longest if body.timeout_s is None else min(body.timeout_s, longest)


async def _cancel_with(sender: Any, ticket: Ticket) -> None:
    """Cancel ``ticket`` when the client cancels its request."""
    while not sender.is_cancelled():
        await asyncio.sleep(_POLL_S)
    ticket.cancel()


def _response(event: Partial | ImageDone, asked: Asked, ticket: Ticket) -> "pb_utils.InferenceResponse":
    maker = ticket.submission.maker
    assert maker is not None  # it has made an image
    text = json.dumps(asked.recipe(event.index, maker)).encode()
    tensors = [
        tensor("image", event.image),
        tensor("recipe", np.frombuffer(text, np.uint8)),
        tensor("index", np.array([event.index], np.int32)),
        tensor("final", np.array([isinstance(event, ImageDone)])),
    ]
    if asked.bundle.has_safety_checker:
        tensors.append(tensor("is_safe", np.array([isinstance(event, ImageDone) and event.is_safe is True])))
    return pb_utils.InferenceResponse(tensors)


def _triton_error(error: Exception) -> "pb_utils.TritonError":
    found = request_error_of(error)
    if isinstance(found, Internal):
        LOG.error("a request failed", exc_info=error)
        return pb_utils.TritonError("internal error: see the server's log", pb_utils.TritonError.INTERNAL)
    kinds = pb_utils.TritonError
    codes = {404: kinds.NOT_FOUND, 429: kinds.UNAVAILABLE, 499: kinds.CANCELLED, 503: kinds.UNAVAILABLE}
    code = codes.get(found.status, kinds.INVALID_ARG if found.status < 500 else kinds.INTERNAL)
    return kinds(str(found), code)
