"""The export.json of a network: source, options, versions, and the comparison with PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime

from ddim_edge.bundle.layout import EXPORT_RECORD
from ddim_edge.config import read_json
from ddim_edge.version import package_version

from ..options import Options, read_options
from ..precision import FP32, Precision
from ..verify.against_torch import Case
from ..verify.fused_step import StepCheck
from ..verify.step_cache import StepCacheCheck
from .record import folder_size, hash_files, write_json

_PACKAGES = ("ddim-edge", "torch", "diffusers", "transformers", "onnx", "onnxscript")


@dataclass(frozen=True, kw_only=True)
class Report:
    """An exported network."""

    path: Path
    """The folder that its export.json describes."""
    network: str
    """The class of the module."""
    cases: tuple[Case, ...]
    options: Options = field(default_factory=Options)
    remark: str | None = None
    """What differs from the options, such as layers kept in fp32."""
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """The source's files and the options. The same ones give the same graph."""
    step: StepCheck | None = None
    """The error of the fused step; None without one."""
    step_cache: StepCacheCheck | None = None
    """The shallow graph's share of the network, and its error; None without one."""
    fp32_fallback_cases: tuple[Case, ...] = ()
    """The comparison of model.fp32.onnx; empty without one."""
    ignored_weights: tuple[str, ...] = ()
    """The names of weights of the source that the network does not have."""

    @property
    def precision(self) -> Precision:
        """The precision of the weights, and of the comparison."""
        return self.options.comparison

    @property
    def error(self) -> float:
        """The largest error of all cases, by the precision's measure."""
        return _largest_error(self.cases)

    @property
    def deviation(self) -> str:
        """The error as text."""
        return _as_text(self.cases, self.precision)

    @property
    def fp32_fallback_deviation(self) -> str | None:
        """The error of model.fp32.onnx as text; None without one."""
        return _as_text(self.fp32_fallback_cases, FP32) if self.fp32_fallback_cases else None

    @property
    def size(self) -> int:
        """Size of all files of the folder, in bytes."""
        return folder_size(self.path)


def write_report(folder: Path, report: Report, **facts: Any) -> None:
    """Write ``export.json`` to ``folder``, which must have all other files already. ``facts`` are further keys."""
    contents: dict[str, Any] = {
        **facts,
        "network": report.network,
        **report.options.to_json(),
        "versions": _versions(),
        "verification": _comparison(report.cases, report.precision),
        "files": hash_files(folder),
    }
    if report.step is not None:
        contents["verification"]["step"] = report.step.to_json()
    if report.step_cache is not None:
        contents["verification"]["step_cache"] = report.step_cache.to_json()
    if report.fp32_fallback_cases:
        contents["verification"]["fp32"] = _comparison(report.fp32_fallback_cases, FP32)
    contents |= {"remark": report.remark} if report.remark else {}
    contents |= {"ignored_weights": report.ignored_weights} if report.ignored_weights else {}
    contents |= {"made_from": report.made_from} if report.made_from else {}
    write_json(folder / EXPORT_RECORD, contents)


def read_report(folder: Path) -> Report:
    """Read what ``write_report`` wrote. ConfigError where it is not JSON."""
    contents = read_json(folder / EXPORT_RECORD)
    step, cache = (contents["verification"].get(key) for key in ("step", "step_cache"))
    return Report(
        path=folder,
        network=contents["network"],
        cases=tuple(map(Case.from_json, contents["verification"]["cases"])),
        options=read_options(**{key: contents.get(key, usual) for key, usual in Options().to_json().items()}),
        remark=contents.get("remark"),
        made_from=contents.get("made_from", {}),
        step=None if step is None else StepCheck(error=step["error"], tolerance=step["tolerance"]),
        step_cache=None if cache is None else StepCacheCheck.from_json(cache),
        ignored_weights=tuple(contents.get("ignored_weights", ())),
        fp32_fallback_cases=tuple(map(Case.from_json, contents["verification"].get("fp32", {}).get("cases", ()))),
    )


def _comparison(cases: tuple[Case, ...], precision: Precision) -> dict[str, Any]:
    return {
        "measure": precision.formula,
        "tolerance": precision.tolerance,
        "error": _largest_error(cases),
        "cases": [case.to_json() for case in cases],
    }


def _largest_error(cases: tuple[Case, ...]) -> float:
    return max(case.error for case in cases)


def _as_text(cases: tuple[Case, ...], precision: Precision) -> str:
    return f"at most {_largest_error(cases):.1e} {precision.unit} from PyTorch"


def _versions() -> dict[str, str | None]:
    """Installed versions, null if not installed. Several packages contain the module onnxruntime."""
    return {name: package_version(name) for name in _PACKAGES} | {"onnxruntime": onnxruntime.__version__}
