"""Wrong values of fields: each error says in plain words what the field must be."""

from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from ddim_edge.serving.http.error_responses import validation_error_of
from ddim_edge.serving.http.schemas import EditBody, GenerationBody

LONG = "x" * 5000


def message_of(body: type[BaseModel], values: dict[str, Any], *, strict: bool | None = None) -> str:
    with pytest.raises(ValidationError) as failed:
        body.model_validate(values, strict=strict)
    return str(validation_error_of(failed.value))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n", "x", "n must be a whole number from 1 to 10, not 'x'"),
        ("n", 1.5, "n must be a whole number from 1 to 10, not 1.5"),
        ("n", 11, "n must be a whole number from 1 to 10, not 11"),
        ("seed", 2**70, "seed must be a whole number from 0 to 9007199254740981, not 1180591620717411303424"),
        ("guidance_scale", "a", "guidance_scale must be a number from 0 to 1e+06, not 'a'"),
        ("guidance_scale", float("nan"), "guidance_scale must be a number from 0 to 1e+06, not nan"),
        ("strength", 0, "strength must be a number above 0 and at most 1, not 0"),
        ("prompt", 3, "prompt must be a text, not 3"),
        ("prompt", LONG, "prompt must have at most 4000 characters, not 5000"),
        ("stream", "x", "stream must be true or false, not 'x'"),
        ("response_format", "foo", "response_format must be 'b64_json' or 'url', not 'foo'"),
        ("labels", 3, "labels must be a list, not 3"),
        ("labels", [], "labels must have at least 1 items, not 0"),
        ("labels", ["cat", 1.5], "labels[1] must be the name or the number of a class, not 1.5"),
    ],
)
def test_a_field_of_a_body(field: str, value: Any, message: str) -> None:
    assert message_of(EditBody, {field: value}) == message


def test_a_field_of_a_form_is_a_text() -> None:
    assert message_of(EditBody, {"n": "x"}, strict=False) == "n must be a whole number from 1 to 10, not 'x'"


def test_a_field_that_no_body_has() -> None:
    class Query(BaseModel):
        limit: int = Field(ge=1)

    assert message_of(Query, {"limit": 0}) == "limit must be a number at least 1, not 0"
    assert message_of(Query, {"limit": "x"}) == "limit must be a whole number, not 'x'"
    assert message_of(Query, {}) == "limit is missing: give it"


def test_the_name_is_the_errors_parameter() -> None:
    with pytest.raises(ValidationError) as failed:
        GenerationBody.model_validate({"n": 0})
    assert validation_error_of(failed.value).param == "n"
