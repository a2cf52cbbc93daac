"""Markdown tables from a header and a format string, for example ``name | share`` and ``{name} | {share:.1%}``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def as_table(header: str, form: str, rows: Iterable[Row]) -> str:
    """A table with one line per row: ``form`` filled from the row's keys."""
    return as_lines(header, (form.format_map(row) for row in rows))


def as_lines(header: str, lines: Iterable[str]) -> str:
    """A table of lines whose cells are separated by ``|`` already."""
    rule = " | ".join(["---"] * (header.count("|") + 1))
    return "\n".join(f"| {line} |" for line in (header, rule, *lines))


def as_range(ends: Sequence[float], form: str) -> str:
    """``LOW to HIGH``, both in the number format ``form``."""
    low, high = ends
    return f"{low:{form}} to {high:{form}}"
