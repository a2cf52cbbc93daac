"""Results: one JSON file per subject in bench/results/."""

import json
from pathlib import Path
from typing import Any

from ddim_edge.benchmark import environment as machine
from ddim_edge.files import write_file
from ddim_edge.version import package_version

BENCH = Path(__file__).parent
ROOT = BENCH.parent
CACHE = BENCH / "cache"
RESULTS = BENCH / "results"

Record = dict[str, Any]


def read(subject: str) -> Record:
    """The result of ``subject``; empty where there is none yet."""
    path = RESULTS / f"{subject}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write(subject: str, record: Record) -> None:
    """Write the result of ``subject``."""
    RESULTS.mkdir(exist_ok=True)
    write_file(RESULTS / f"{subject}.json", (json.dumps(record, indent=1) + "\n").encode())


def environment(*packages: str) -> Record:
    """The machine, the day, and the versions of Python and of ``packages``."""
    found = machine.environment()
    names = ("python", *packages)
    versions = {name: found["versions"].get(name) or package_version(name) or "not installed" for name in names}
    return {
        "machine": "{cpu}, {cores} cores".format_map(found["machine"]),
        "date": found["date"].partition("T")[0],
        "versions": versions,
    }
