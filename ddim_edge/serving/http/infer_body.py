"""The body of KServe's inference requests: JSON, with the arrays in it or, as binary data, after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from ...arrays import Array
from ..errors import BadRequest, TooLarge
from .error_responses import validation_error_of
from .field_errors import field_error
from .schemas import UNKNOWN_OPTION, Fields
from .tensors import array_of_bytes, array_of_json, dtype_of

BINARY_SIZE, BINARY_DATA, BINARY_OUTPUT = "binary_data_size", "binary_data", "binary_data_output"
"""Parameters of the extension for binary data: of an input, of an output, and of the request for all outputs."""
Parameters = dict[str, bool | int | float | str]
_NAME = Field(max_length=200)


class InferInput(Fields):
    """One array of the request: `data`, or binary data of as many bytes as `parameters.binary_data_size` says."""

    name: str = _NAME
    datatype: str = Field(max_length=20, description="Such as `FP32`.")
    shape: list[Annotated[int, Field(ge=0, le=2**31)]] = Field(max_length=16)
    parameters: Parameters | None = None
    data: list[Any] | None = Field(None, description="The numbers in row-major order, flat or nested.")


class InferOutput(Fields):
    """One array of the response."""

    name: str = _NAME
    parameters: Parameters | None = Field(None, description="`binary_data`: whether it comes as binary data.")


class InferBody(Fields):
    """The body of an inference request."""

    id: str | None = Field(None, max_length=200, description="Comes back in the response.")
    parameters: Parameters | None = Field(None, description="The options of generation.")
    inputs: list[InferInput] = Field(max_length=100)
    outputs: list[InferOutput] | None = Field(None, max_length=100, description="Default: all.")


class TensorBody(BaseModel):
    """One array of the response; with `parameters.binary_data_size` its bytes come after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: list[Any] | None = None


class InferResponse(BaseModel):
    """The response to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: Parameters
    outputs: list[TensorBody]


@dataclass(frozen=True)
class Infer:
    """An inference request that has been read.

    Attributes:
        id: the client's name for it.
        parameters: the options of generation.
        arrays: the inputs, by name.
        outputs: the names of the wanted outputs, and whether each comes as binary data; empty for all.
        binary: whether outputs come as binary data where nothing else is said of them.
    """

    id: str | None
    parameters: Mapping[str, Any]
    arrays: Mapping[str, Array]
    outputs: Mapping[str, bool]
    binary: bool


def read_infer(contents: bytes, header_length: int | None, most_json: int) -> Infer:
    """Read a body, of whose bytes ``header_length`` are JSON; None for all. Raises BadRequest, and TooLarge."""
    length = len(contents) if header_length is None else header_length
    if length > most_json:
        hint = "send arrays as binary data, with Inference-Header-Content-Length"
        raise TooLarge(f"the JSON is larger than this server's limit of {most_json} bytes: {hint}")
    if length > len(contents):
        raise BadRequest(f"Inference-Header-Content-Length is {length}, and the body has {len(contents)} bytes")
    body = _parsed(contents[:length])
    parameters = dict(body.parameters or {})
    binary = _flag(parameters.pop(BINARY_OUTPUT, False), BINARY_OUTPUT)
    outputs = {one.name: _wants_binary(one, binary) for one in body.outputs or ()}
    return Infer(body.id, parameters, _arrays(body.inputs, memoryview(contents)[length:]), outputs, binary)


def _parsed(contents: bytes) -> InferBody:
    try:
        return InferBody.model_validate_json(contents)
    except ValidationError as error:
        first = error.errors()[0]
        if len(first["loc"]) < 2 or first["type"] == UNKNOWN_OPTION:
            raise validation_error_of(error) from None
        where = ".".join(map(str, first["loc"]))  # such as inputs.0.shape
        raise BadRequest(field_error([where], first), param=where) from None


def _arrays(inputs: list[InferInput], rest: memoryview) -> dict[str, Array]:
    """The inputs by name, the binary ones taken from ``rest`` in their order. Raises BadRequest."""
    arrays: dict[str, Array] = {}
    for one in inputs:
        if one.name in arrays:
            raise BadRequest(f"inputs has {one.name} twice", param=one.name)
        kind, size = dtype_of(one.name, one.datatype), _binary_size(one)
        if (one.data is None) == (size is None):
            raise BadRequest(f"{one.name} must have either data or the parameter {BINARY_SIZE}", param=one.name)
        if one.data is not None:
            arrays[one.name] = array_of_json(one.name, kind, one.shape, one.data)
        else:
            arrays[one.name] = array_of_bytes(one.name, kind, one.shape, rest[:size])
            rest = rest[size:]
    if len(rest):
        raise BadRequest(f"{len(rest)} bytes of binary data belong to no input: check {BINARY_SIZE}")
    return arrays


def _binary_size(one: InferInput) -> int | None:
    size = _only(one.parameters, BINARY_SIZE, one.name)
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size >= 0):
        return size
    raise BadRequest(f"{one.name}: {BINARY_SIZE} must be a number of bytes", param=one.name)


def _wants_binary(one: InferOutput, usual: bool) -> bool:
    given = _only(one.parameters, BINARY_DATA, one.name)
    return usual if given is None else _flag(given, f"{one.name}: {BINARY_DATA}")


def _only(parameters: Parameters | None, name: str, whose: str) -> bool | int | float | str | None:
    """The one parameter that an input or output may have. Raises BadRequest for others."""
    for other in parameters or {}:
        if other != name:
            raise BadRequest(f"{whose}: unknown parameter {other[:200]!r}; it may have {name}", param=whose)
    return None if parameters is None else parameters.get(name)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise BadRequest(f"{name} must be true or false", param=name)
    return value
