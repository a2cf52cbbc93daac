"""Parameters of a request whose arrays are tensors, of KServe's protocol or of Triton: the options of the HTTP API."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from ..errors import BadRequest
from .error_responses import validation_error_of
from .schemas import MAX_SEED, Fields

_OF_IMAGES = (
    *("model", "response_format", "output_format", "output_compression", "labels"),
    *("quality", "style", "background", "input_fidelity", "moderation", "user"),
)
"""Options of /v1/images that such a request does not have: model and tensors are named by the protocol, and a parameter
is no list."""
Given = TypeVar("Given", bound=Fields)


class PolicyParameters(Fields):
    """The parameters of a request to a robot policy."""

    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Of the noise; robot k has seed + k.")
    decision: int = Field(0, ge=0, le=MAX_SEED, description="How many decisions there were since the episode began.")
    num_inference_steps: int | None = Field(None, ge=1, le=100_000)
    sampler: str | None = Field(None, max_length=100)
    range_factor: float = Field(1.5, ge=1, le=1e9)
    timeout_s: float | None = Field(None, gt=0, le=1e9)


def parameters_of(kind: type[Given], values: Mapping[str, Any]) -> Given:
    """The parameters, checked. Raises BadRequest for one that is unknown or invalid."""
    for name in _OF_IMAGES:
        if name in values:
            raise BadRequest(f"{name}: this option is of /v1/images alone: leave it out", param=name)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise validation_error_of(error) from None
