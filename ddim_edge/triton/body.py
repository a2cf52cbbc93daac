"""A request's parameters: those of ``POST /v1/images/generations`` that are no matter of HTTP."""

import json

from pydantic import Field, ValidationError

from ..serving.errors import BadRequest
from ..serving.http.error_responses import validation_error_of
from ..serving.http.schemas import ImageBody

_OF_HTTP = (
    *("model", "response_format", "output_format", "output_compression", "labels"),
    *("quality", "style", "background", "input_fidelity", "moderation", "user"),
)
"""Fields of the HTTP API that a request to Triton does not have: its model and its tensors are named by Triton, and a
parameter is no list."""


class TritonBody(ImageBody):
    """The parameters of a request."""

    partial_images: int | None = Field(None, ge=0, le=3)


def body_of(parameters: str) -> TritonBody:
    """Read the JSON object of a request's parameters. Raises BadRequest for one that is unknown or invalid."""
    values = json.loads(parameters or "{}")
    for name in _OF_HTTP:
        if name in values:
            raise BadRequest(f"{name}: this option is of the HTTP API of `ddim-edge serve` alone", param=name)
    try:
        return TritonBody.model_validate(values)
    except ValidationError as error:
        raise validation_error_of(error) from None
