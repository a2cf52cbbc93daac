"""The response to an inference request, in JSON or with binary data."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.responses import Response

from ...arrays import Array
from ..scheduling.async_engine import Ticket
from ..scheduling.submission import ImageDone
from .infer_asked import IS_SAFE
from .infer_body import BINARY_SIZE, Infer
from .tensors import datatype_of

VERSION = "1"
"""That of every model."""


async def outputs_from(ticket: Ticket, name: str) -> dict[str, Array]:
    """The outputs of a request, (rows, …): the one called ``name``, and what a safety checker said.

    Raises the error that ended the request.
    """
    made = {event.index: event async for event in ticket if isinstance(event, ImageDone)}
    rows = [made[index] for index in sorted(made)]
    checked = [row.is_safe for row in rows if row.is_safe is not None]
    outputs = {name: np.stack([row.image for row in rows])}
    return {**outputs, IS_SAFE: np.array(checked)} if checked else outputs


def infer_response(model: str, asked: Infer, parameters: Mapping[str, Any], outputs: Mapping[str, Array]) -> Response:
    """The response of ``model`` with those of its ``outputs`` that were asked for, in the order of the request."""
    tensors, binary = [], []
    for name, is_binary in (asked.outputs or dict.fromkeys(outputs, asked.binary)).items():
        array = outputs[name]
        facts: dict[str, Any] = {"name": name, "datatype": datatype_of(array.dtype), "shape": list(array.shape)}
        if is_binary:
            binary.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            tensors.append({**facts, "parameters": {BINARY_SIZE: len(binary[-1])}})
        else:
            tensors.append({**facts, "data": array.ravel().tolist()})
    named = {} if asked.id is None else {"id": asked.id}
    body = {"model_name": model, "model_version": VERSION, **named, "parameters": parameters, "outputs": tensors}
    head = json.dumps(body).encode()
    if not binary:
        return Response(head, media_type="application/json")
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Response(b"".join([head, *binary]), headers=headers, media_type="application/octet-stream")
