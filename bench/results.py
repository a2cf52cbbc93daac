"""Where measurements are kept: one small JSON file a subject, written whole or not at all."""

import importlib.metadata
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddim_edge.runtime.hardware.cpu_name import cpu_model
from ddim_edge.version import __version__

BENCH = Path(__file__).parent
ROOT = BENCH.parent
CACHE = BENCH / "cache"
RESULTS = BENCH / "results"

Record = dict[str, Any]


def read(subject: str) -> Record:
    """What was measured for ``subject``; empty where nothing was."""
    path = RESULTS / f"{subject}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write(subject: str, record: Record) -> None:
    """Write ``record`` under a temporary name, then rename."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{subject}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(temporary, path)


def environment(*packages: str) -> Record:
    """The machine, the day, and the versions of Python and of ``packages``."""
    return {
        "machine": f"{cpu_model()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
    }


def _version(package: str) -> str:
    if package == "ddim-edge":
        return __version__  # it need not be installed
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
