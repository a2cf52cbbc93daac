"""What an export.json says of a network: what was exported from what, by what, and how well it agrees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime

from ddim_edge.config import read_json

from ..options import Options, read_options
from ..precision import FP32, Precision
from ..verify.against_torch import Case
from ..verify.fused_step import StepCheck
from .record import FILE_NAME, folder_size, hash_files, write_json

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
    step: StepCheck | None = None
    """How far the fused step is off; None without one."""
    fp32_fallback_cases: tuple[Case, ...] = ()
    """The comparison of the fp32 form; none without one."""

    @property
    def precision(self) -> Precision:
        """What weights are stored in, and how the graph was compared."""
        return self.options.comparison

    @property
    def error(self) -> float:
        """The worst of the cases, by the precision's measure."""
        return _worst(self.cases)

    @property
    def deviation(self) -> str:
        """The error, for people."""
        return _in_words(self.cases, self.precision)

    @property
    def fp32_fallback_deviation(self) -> str | None:
        """The error of the fp32 form, for people; None without one."""
        return _in_words(self.fp32_fallback_cases, FP32) if self.fp32_fallback_cases else None

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
        "verification": _comparison(report.cases, report.precision),
        "files": hash_files(folder),
    }
    if report.step is not None:
        contents["verification"]["step"] = report.step.to_json()
    if report.fp32_fallback_cases:
        contents["verification"]["fp32"] = _comparison(report.fp32_fallback_cases, FP32)
    contents |= {"remark": report.remark} if report.remark else {}
    contents |= {"made_from": report.made_from} if report.made_from else {}
    write_json(folder / FILE_NAME, contents)


def read_report(folder: Path) -> Report:
    """What ``write_report`` wrote. ConfigError where it is no JSON."""
    contents = read_json(folder / FILE_NAME)
    step = contents["verification"].get("step")
    return Report(
        path=folder,
        network=contents["network"],
        cases=tuple(map(Case.from_json, contents["verification"]["cases"])),
        options=read_options(**{key: contents.get(key, usual) for key, usual in Options().to_json().items()}),
        remark=contents.get("remark"),
        made_from=contents.get("made_from", {}),
        step=None if step is None else StepCheck(error=step["error"], tolerance=step["tolerance"]),
        fp32_fallback_cases=tuple(map(Case.from_json, contents["verification"].get("fp32", {}).get("cases", ()))),
    )


def _comparison(cases: tuple[Case, ...], precision: Precision) -> dict[str, Any]:
    return {
        "measure": precision.formula,
        "tolerance": precision.tolerance,
        "error": _worst(cases),
        "cases": [case.to_json() for case in cases],
    }


def _worst(cases: tuple[Case, ...]) -> float:
    return max(case.error for case in cases)


def _in_words(cases: tuple[Case, ...], precision: Precision) -> str:
    return f"at most {_worst(cases):.1e} {precision.unit} from PyTorch"


def _versions() -> dict[str, str | None]:
    """Installed versions, null for what is not installed. onnxruntime is a module with more than one package."""
    return {name: _version(name) for name in _PACKAGES} | {"onnxruntime": onnxruntime.__version__}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
