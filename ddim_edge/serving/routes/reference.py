"""``/docs``: the OpenAPI document as a page to read."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from .page import page_of, page_response

_PLACE = "<!-- reference -->"
_KINDS = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object", "null": "null"}
Json = Mapping[str, Any]


def routes() -> APIRouter:
    """The router of ``/docs``."""
    router = APIRouter(include_in_schema=False)
    page = page_of("docs.html")

    @router.get("/docs")
    def docs(http: Request) -> Response:
        return page_response(page._replace(html=page.html.replace(_PLACE, reference(http.app.openapi()))))

    return router


def reference(document: Json) -> str:
    """The HTML of the main part: a list of contents, the operations, the objects."""
    operations = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    schemas = document["components"]["schemas"]
    sections = [_operation(name, operation, schemas) for name, operation in operations.items()]
    sections += [_object(name, schema) for name, schema in schemas.items()]
    contents = _links("Requests", operations) + _links("Objects", schemas)
    return f'<main><nav class="panel" aria-label="Contents">{contents}</nav><div>{"".join(sections)}</div></main>'


def _links(title: str, names: Iterable[str]) -> str:
    items = "".join(f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name in names)
    return f"<h2>{title}</h2><ul>{items}</ul>"


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-")


def _section(name: str, *parts: str) -> str:
    return f'<section class="panel" id="{_anchor(name)}"><h2>{escape(name)}</h2>{"".join(parts)}</section>'


def _operation(name: str, operation: Json, schemas: Json) -> str:
    key = "<p>Needs the API key: <code>Authorization: Bearer KEY</code>.</p>" if "security" in operation else ""
    parameters = {each["name"]: each["schema"] for each in operation.get("parameters", ())}
    bodies = operation.get("requestBody", {}).get("content", {})
    return _section(
        name,
        f"<p>{_text(operation['summary'])}.</p>{key}",
        f"<h3>Parameters</h3>{_fields(parameters, ())}" if parameters else "",
        *(f"<h3>Body: {escape(kind)}</h3>{_body(content['schema'], schemas)}" for kind, content in bodies.items()),
        f"<h3>Answers</h3>{_answers(operation['responses'])}",
    )


def _object(name: str, schema: Json) -> str:
    description = f"<p>{_text(schema['description'])}</p>" if "description" in schema else ""
    return _section(name, description, _body(schema, {}))


def _body(schema: Json, schemas: Json) -> str:
    fields = schemas[_name(schema["$ref"])] if "$ref" in schema else schema
    return _fields(fields["properties"], fields.get("required", ()))


def _answers(responses: Json) -> str:
    """A row for each kind of answer: most errors have the same."""
    statuses: dict[str, list[str]] = {}
    for status, response in sorted(responses.items()):
        kinds = (_answer(kind, content.get("schema", {})) for kind, content in response.get("content", {}).items())
        statuses.setdefault(", ".join(kinds), []).append(f"<code>{escape(status)}</code>")
    return _table((", ".join(codes), kinds, "") for kinds, codes in statuses.items())


def _answer(kind: str, schema: Json) -> str:
    return _kind(schema) if kind == "application/json" else escape(kind)


def _fields(properties: Json, required: Iterable[str]) -> str:
    rows = []
    for name, schema in properties.items():
        default = f"default: <code>{escape(repr(schema['default']))}</code>" if schema.get("default") else ""
        notes = [_text(schema.get("description", "")), "required" if name in required else "", default]
        rows.append((f"<code>{escape(name)}</code>", _kind(schema), "; ".join(filter(None, notes))))
    return _table(rows)


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = (f'<tr><th scope="row">{name}</th><td>{kind}</td><td>{text}</td></tr>' for name, kind, text in rows)
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def _kind(schema: Json) -> str:
    """What values a schema allows, as HTML; empty if it does not say."""
    match schema:
        case {"$ref": address}:
            name = _name(address)
            return f'<a href="#{_anchor(name)}">{escape(name)}</a>'
        case {"anyOf": kinds}:
            return " or ".join(_kind(each) for each in kinds if each != {"type": "null"})
        case {"enum": values}:
            return ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
        case {"const": value}:
            return f"<code>{escape(str(value))}</code>"
        case {"type": "array", "prefixItems": items}:
            return f"list of {len(items)}: {', '.join(map(_kind, items))}"
        case {"type": "array"}:
            return f"list of {_kind(schema.get('items', {})) or 'values'}"
        case {"type": "string", "format": "binary"}:
            return "file"
    return f"{_KINDS.get(schema.get('type', ''), escape(schema.get('type', '')))}{_limits(schema)}"


def _name(address: str) -> str:
    """The name of a schema that ``$ref`` points to."""
    return address.rpartition("/")[2]


def _limits(schema: Json) -> str:
    if "maxLength" in schema:
        return f", at most {schema['maxLength']} characters"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is None or high is None:
        return ""
    return f", {'above ' if 'exclusiveMinimum' in schema else ''}{low:.16g} to {high:.16g}"


def _text(text: str) -> str:
    """Escaped text, with what stands between backticks as code."""
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text))
