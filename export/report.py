"""export.json: what was exported from what, by what, how well it agrees, and the hash of every file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime

from ddim_edge.config import read_json

from .options import Options, read_options
from .precision import Precision
from .verify import Case

FILE_NAME = "export.json"

_PACKAGES = ("ddim-edge", "torch", "diffusers", "transformers", "onnx", "onnxscript")


@dataclass(frozen=True, kw_only=True)
class Report:
    """A network that was exported."""

    path: Path
    """The folder that its export.json describes."""
    network: str
    """The class of the module."""
    cases: tuple[Case, ...]
    options: Options = field(default_factory=Options)
    remark: str | None = None
    """What is not as it was asked for."""
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """The source's files and the options: the same again would give the same graph."""

    @property
    def precision(self) -> Precision:
        """What weights are stored in, and how the graph was compared."""
        return self.options.comparison

    @property
    def error(self) -> float:
        """The worst of the cases, by the precision's measure."""
        return max(case.error for case in self.cases)

    @property
    def deviation(self) -> str:
        """The error, for people."""
        return f"at most {self.error:.1e} {self.precision.unit} from PyTorch"

    @property
    def size(self) -> int:
        """Bytes of all files of the folder."""
        return folder_size(self.path)


def write_report(folder: Path, report: Report) -> None:
    """Write ``export.json`` into ``folder``, which holds all the other files."""
    contents: dict[str, Any] = {
        "network": report.network,
        **report.options.to_json(),
        "versions": _versions(),
        "verification": {
            "measure": report.precision.formula,
            "tolerance": report.precision.tolerance,
            "error": report.error,
            "cases": [case.to_json() for case in report.cases],
        },
        "files": hashes(folder),
    }
    contents |= {"remark": report.remark} if report.remark else {}
    contents |= {"made_from": report.made_from} if report.made_from else {}
    write_json(folder / FILE_NAME, contents)


def read_report(folder: Path) -> Report:
    """What ``write_report`` wrote. ConfigError where it is no JSON."""
    contents = read_json(folder / FILE_NAME)
    return Report(
        path=folder,
        network=contents["network"],
        cases=tuple(map(Case.from_json, contents["verification"]["cases"])),
        options=read_options(**{key: contents[key] for key in Options().to_json()}),
        remark=contents.get("remark"),
        made_from=contents.get("made_from", {}),
    )


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a JSON object, and the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")


def hashes(folder: Path) -> dict[str, dict[str, str | int]]:
    """The hash and size of every file below ``folder``; what a subfolder's export.json knows is not read again."""
    known: dict[str, dict[str, str | int]] = {}
    for record in sorted(folder.glob(f"*/{FILE_NAME}")):
        files = read_json(record)["files"]
        known |= {f"{record.parent.name}/{name}": entry for name, entry in files.items()}
    names = [file.relative_to(folder).as_posix() for file in _files(folder)]
    return {name: known.get(name) or describe(folder / name) for name in names if name != FILE_NAME}


def describe(file: Path) -> dict[str, str | int]:
    """The hash and size of a file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"sha256": digest, "size": file.stat().st_size}


def folder_size(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(file.stat().st_size for file in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _versions() -> dict[str, str | None]:
    """Installed versions, null for what is not installed. onnxruntime is a module with more than one package."""
    return {name: _version(name) for name in _PACKAGES} | {"onnxruntime": onnxruntime.__version__}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
