"""Text of a ``config.pbtxt``: a message of Triton's ModelConfig in protobuf's text format."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Enum(str):
    """The name of a value of an enumeration, which is written without quotation marks."""


def config_text(config: Mapping[str, Any]) -> str:
    """The message of ``config``: its fields by name. A mapping is a message, a sequence a repeated field."""
    return "".join(f"{line}\n" for name, value in config.items() for line in _field(name, value))


def _field(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f"{name} {{"
        for key, inner in value.items():
            yield from (f"  {line}" for line in _field(key, inner))
        yield "}"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _field(name, each)
    else:
        yield f"{name}: {_scalar(value)}"


def _scalar(value: str | int | bool) -> str:
    return value if isinstance(value, Enum) else json.dumps(value, ensure_ascii=False)
