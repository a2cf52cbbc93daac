"""What is wrong with a field of a body or a query, in plain words: pydantic's own are of Python's types."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo

from ...errors import shown
from .schemas import EditBody

_FIELDS: Mapping[str, FieldInfo] = EditBody.model_fields
"""Those of all bodies."""
_NUMBER = frozenset(
    [
        *("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
        *("float_type", "float_parsing", "finite_number"),
        *("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
    ]
)
_KINDS: Mapping[str, str] = {
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
}
_LENGTHS: Mapping[str, str] = {
    "string_too_long": "at most {max_length} characters",
    "too_long": "at most {max_length} items",
    "too_short": "at least {min_length} items",
}


def field_error(path: list[str], error: Mapping[str, Any]) -> str:
    """The message for one of pydantic's errors; ``path`` is the field's name, and where in its value the error is."""
    name, kind, value = path[0], error["type"], shown(error.get("input"))
    context = error.get("ctx", {})
    if name == "labels" and len(path) > 1:
        return f"labels[{path[1]}] must be the name or the number of a class, not {value}"
    if kind in _NUMBER:
        return f"{name} must be {_number(name, kind, context)}, not {value}"
    if kind in _KINDS:
        return f"{name} must be {_KINDS[kind]}, not {value}"
    if kind in _LENGTHS:
        return f"{name} must have {_LENGTHS[kind].format(**context)}, not {len(error['input'])}"
    if kind == "literal_error":
        return f"{name} must be {context['expected']}, not {value}"
    if kind == "missing":
        return f"{name} is missing: give it"
    return f"{name}: {error['msg']}"


def _number(name: str, kind: str, context: Mapping[str, Any]) -> str:
    """What number it must be: all bounds of a field of the bodies, else the one that was missed."""
    field = _FIELDS.get(name)
    bounds = dict(context) if field is None else _bounds(field)
    whole = kind.startswith("int") if field is None else int in (field.annotation, *get_args(field.annotation))
    number = "a whole number" if whole else "a number"
    if {"ge", "le"} <= bounds.keys():
        return f"{number} from {_shown(bounds['ge'])} to {_shown(bounds['le'])}"
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = [f"{word} {_shown(bounds[key])}" for key, word in words.items() if key in bounds]
    return f"{number} {' and '.join(found)}".rstrip()


def _bounds(field: FieldInfo) -> dict[str, Any]:
    return {key: getattr(one, key) for one in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(one, key)}


def _shown(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
