"""export.json: what was exported by what, how well it agrees, and the hash of every file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime

from .verify import TOLERANCE, Case

FILE_NAME = "export.json"

_PACKAGES = ("ddim-edge", "torch", "diffusers", "onnx", "onnxscript")


@dataclass(frozen=True, kw_only=True)
class Report:
    """An export that succeeded."""

    path: Path
    """The bundle's folder."""
    network: str
    """The class of the module."""
    opset: int
    cases: tuple[Case, ...]

    @property
    def error(self) -> float:
        """The worst of the cases, in standard deviations of the output."""
        return max(case.error for case in self.cases)

    @property
    def size(self) -> int:
        """Bytes of all files of the bundle."""
        return sum(file.stat().st_size for file in _files(self.path))


def write_report(folder: Path, report: Report) -> None:
    """Write ``export.json`` into ``folder``, which holds all the other files."""
    contents = {
        "network": report.network,
        "opset": report.opset,
        "versions": _versions(),
        "verification": {
            "measure": "max |onnxruntime - torch| / std(torch)",
            "tolerance": TOLERANCE,
            "error": report.error,
            "cases": [asdict(case) for case in report.cases],
        },
        "files": {file.relative_to(folder).as_posix(): _describe(file) for file in _files(folder)},
    }
    write_json(folder / FILE_NAME, contents)


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a JSON object, and the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _describe(file: Path) -> dict[str, str | int]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"sha256": digest, "size": file.stat().st_size}


def _versions() -> dict[str, str | None]:
    """Installed versions, null for what is not installed. onnxruntime is a module with more than one package."""
    return {name: _version(name) for name in _PACKAGES} | {"onnxruntime": onnxruntime.__version__}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
