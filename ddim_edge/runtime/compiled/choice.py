"""Choice: what was measured of a graph on this machine, and the device that ``--provider auto`` takes for it.

``ddim-edge build --provider auto`` writes it. Each has its own folder in a cache, ``CACHE/auto-COMPONENT-KEY``, and is
listed and pruned like what is compiled. It holds for one graph, machine, and number of processors.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ...config import read_json
from ...config.schema import any_of, check_json, list_of, mapping_of, real, text, whole
from ...errors import ConfigError
from ...files import output_errors, write_file
from ...graphs.fingerprint import Stamps
from ..hardware import cpu
from ..hardware.cpu_name import cpu_with_vectors
from ..providers.table import AUTO, NAMES
from .machine import Machine
from .measured import ALLOWED, Measured, fastest
from .recipe import component_of, source_json

RECORD = "chosen.json"
FORMAT = 1

_MOST = 2**63
_SCHEMA = {
    "graph": text(),
    "graph_sha256": text(),
    "stamps": mapping_of(list_of(whole(0, _MOST))),
    "sketch": text(),
    "precision": text(),
    "processors": text(),
    "date": text(),
}
_ROW_SCHEMA = {
    "provider": text(),
    "which": text(),
    "precision": text(),
    "threads": whole(1, os.cpu_count() or 1),  # tens of thousands would stop the machine
    "seconds": mapping_of(real(0)),
    "difference": real(0),
    "reason": text(),
    "machine": mapping_of(any_of(text(), lambda _name, _value: None)),
}


@dataclass(frozen=True)
class Choice:
    """What was measured of one graph.

    Attributes:
        graph: its file.
        sha256, stamps, sketch: of the graph and its weights, as in ``Compiled``.
        precision: the value of ``--precision`` that said what was allowed.
        processors: those that were used, as ``hardware.cpu`` describes them.
        rows: what was measured, the preferred ones first.
        date: in ISO 8601.
    """

    graph: Path
    sha256: str
    stamps: Stamps
    sketch: str
    precision: str
    processors: str
    rows: tuple[Measured, ...]
    date: str

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read a folder of a cache; None where it has no such record, or one of another version of this program."""
        try:
            facts = _checked(read_json(folder / RECORD))
            return cls(
                graph=Path(os.path.normpath(folder / facts["graph"])),
                sha256=facts["graph_sha256"],
                stamps={name: tuple(stamp) for name, stamp in facts["stamps"].items()},
                sketch=facts["sketch"],
                precision=facts["precision"],
                processors=facts["processors"],
                rows=tuple(map(_row, facts["rows"])),
                date=facts["date"],
            )
        except (ValueError, KeyError, TypeError, AttributeError):  # a ConfigError is a ValueError
            return None

    def covers(self, precision: str) -> bool:
        """Whether all was measured that ``--precision`` allows."""
        return precision in ALLOWED and set(ALLOWED[precision]) <= set(ALLOWED[self.precision])

    def best(self, precision: str) -> Measured | None:
        """As ``fastest``."""
        return fastest(self.rows, precision)

    def faults(self, best: Measured) -> Iterator[str]:
        """Why ``best`` does not hold on this machine, as text. Raises as ``Measured.faults``."""
        here = str(cpu.describe())
        if self.processors != here:
            yield f"measured with {self.processors}, now it is {here}"
        yield from best.faults()


def write_choice(cache: Path, graph: Path, sha256: str, precision: str, rows: Sequence[Measured]) -> Path:
    """Write what was measured into ``cache``, in place of earlier ones that it covers; returns its folder.

    Raises OutputError where it cannot be written.
    """
    facts = {"format": FORMAT, "graph_sha256": sha256, "processors": str(cpu.describe())}
    places = {
        covered: cache / f"{AUTO}-{component_of(graph)}-{_key(facts, covered)}"
        for covered in ALLOWED
        if set(ALLOWED[covered]) <= set(ALLOWED[precision])
    }
    folder = places.pop(precision)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    measured = {"rows": [dataclasses.asdict(row) for row in rows], "date": date}
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    record = {**facts, "precision": precision, **source_json(graph, folder), **measured}
    write_file(folder / RECORD, json.dumps(record, indent=1).encode())
    for other in places.values():
        shutil.rmtree(other, ignore_errors=True)
    return folder


def _key(facts: Mapping[str, Any], precision: str) -> str:
    text = json.dumps([facts, precision, cpu_with_vectors()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _checked(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises ConfigError or ValueError for a record whose values have other types, or that lacks one."""
    check_json(facts, _SCHEMA, RECORD)
    known = facts.get("format") == FORMAT and facts.get("precision") in ALLOWED
    if not known or any(facts.get(key) is None for key in _SCHEMA):
        raise ValueError("the record is not complete")
    for row in facts["rows"]:
        check_json(row, _ROW_SCHEMA, RECORD)
    return facts


def _row(facts: Mapping[str, Any]) -> Measured:
    if facts["provider"] not in NAMES:
        raise ConfigError(f"{facts['provider']} is no provider")
    machine = None if facts["machine"] is None else Machine(**facts["machine"])
    return Measured(**{**facts, "machine": machine, "seconds": dict(facts["seconds"])})
