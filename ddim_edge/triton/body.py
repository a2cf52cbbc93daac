"""A request's parameters: those of ``POST /v1/images/generations`` that are no matter of HTTP."""

import json

from pydantic import Field

from ..serving.http.parameters import parameters_of
from ..serving.http.schemas import ImageBody


class TritonBody(ImageBody):
    """The parameters of a request."""

    partial_images: int | None = Field(None, ge=0, le=3)


def body_of(parameters: str) -> TritonBody:
    """Read the JSON object of a request's parameters. Raises BadRequest for one that is unknown or invalid."""
    return parameters_of(TritonBody, json.loads(parameters or "{}"))
