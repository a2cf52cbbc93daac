"""The table of image files by format."""

from ..results import Record
from .markdown import as_table

_HEADER = "| CPU time, 512² | size | of the default's | CPU time, 1024² | size | of the default's"
_CELLS = "{%s[ms]:.0f} ms | {%s[kb]:,.0f} kB | {%s[share]:.2f}"
_FORM = " | ".join(["{format}", _CELLS.replace("%s", "small"), _CELLS.replace("%s", "large")])


def encoding(record: Record) -> str:
    """One row per format."""
    (default,) = (row for row in record["rows"] if row["format"] == "PNG, default")
    rows = [
        {"format": row["format"], "small": _cell(row, default, "512"), "large": _cell(row, default, "1024")}
        for row in record["rows"]
    ]
    return as_table(_HEADER, _FORM, rows)


def _cell(row: Record, default: Record, side: str) -> Record:
    cost = row[side]
    return {**cost, "kb": cost["bytes"] / 1000, "share": cost["bytes"] / default[side]["bytes"]}
