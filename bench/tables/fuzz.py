"""The table of hostile input."""

from collections import Counter

from ..results import Record
from .markdown import as_table

_NAMES = {
    "json": "JSON files of a bundle",
    "graph": "ONNX graphs",
    "picture": "pictures",
    "latents": "latents files",
    "recipe": "recipes",
    "options": "command lines",
    "http": "requests, in process",
    "wire": "bytes on the wire",
}


def fuzz(record: Record) -> str:
    """A row for each kind of case."""
    rows = [
        {"kind": name, **_counts(record["kinds"][kind])} for kind, name in _NAMES.items() if kind in record["kinds"]
    ]
    header = " | cases | done | refused | NaN, deadline, cut off | faults"
    form = "{kind} | {cases} | {done} | {refused} | {other} | {faults}"
    return f"{as_table(header, form, rows)}\n\nSeed {record['seed']}."


def _counts(found: Record) -> Record:
    counts = Counter[str]()
    for outcome, number in found["outcomes"].items():
        counts[_group(outcome)] += number
    return {
        "cases": found["cases"],
        "faults": len(found["faults"]),
        **{name: counts[name] for name in ("done", "refused", "other")},
    }


def _group(outcome: str) -> str:
    """``exit 0`` and status 2xx are done, ``exit 2`` and status 3xx and 4xx refused."""
    last = outcome.removeprefix("exit ")
    if last == "0" or (last.startswith("2") and len(last) == 3):
        return "done"
    return "refused" if last == "2" or (last[0] in "34" and len(last) == 3) else "other"
