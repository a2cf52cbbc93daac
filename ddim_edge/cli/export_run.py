"""Runs an exporter, which needs PyTorch, and prints what came out."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError
from ..extras import install_command

_EXTRA = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "safetensors", "onnxruntime")


def run_export(exporter: str, source: str, out: Path, *, quiet: bool, as_json: bool, **options: Any) -> dict[str, Any]:
    """Export by the function ``exporter`` of ``ddim_edge_export``, and print what came out; returns it as JSON values.

    ``quiet`` prints nothing, ``as_json`` only the stages. Raises ConfigError where the exporter's packages are missing.
    """
    try:
        report = _run(exporter, source, out, quiet=quiet, **options)
    except ModuleNotFoundError as error:
        raise ConfigError(_how_to_install(error)) from None
    if not (quiet or as_json):
        click.echo("\n".join(_lines(out, report)))
    return _facts(out, report)


def _run(exporter: str, source: str, out: Path, *, quiet: bool, **options: Any) -> Any:
    import ddim_edge_export

    stages = nullcontext(_show_nothing) if quiet else ddim_edge_export.show_stages()
    with stages as on_stage:
        return getattr(ddim_edge_export, exporter)(source, out, on_stage=on_stage, **options)


def _show_nothing(_component: str, _stage: str) -> None:
    """In the place of what shows an export's stages."""


def _lines(out: Path, report: Any) -> Iterator[str]:
    """A line for each component, and one for the bundle."""
    for name, component in report.components.items():
        remark = f"; {component.remark}" if component.remark else ""
        if component.step is not None:
            remark += f"; its fused step at most {component.step.error:.1e} from NumPy's"
        if component.step_cache is not None:
            remark += f"; its shallow graph {component.step_cache.summary}"
        if component.fp32_fallback_deviation is not None:
            remark += f"; its fp32 graph {component.fp32_fallback_deviation}"
        yield (
            f"{name}: {component.network} in {component.precision.name}, {component.size / 1e6:.1f} MB, "
            f"{component.deviation}{remark}"
        )
    yield f"{out}: {report.size / 1e6:.1f} MB"


def _facts(out: Path, report: Any) -> dict[str, Any]:
    """The bundle, its size, and how far each component is from PyTorch, by the measure of its precision."""
    components = {
        name: {
            "network": component.network,
            "precision": component.precision.name,
            "bytes": component.size,
            "deviation": component.error,
            "measure": component.precision.formula,
            "remark": component.remark,
            **({"step_cache": component.step_cache.to_json()} if component.step_cache else {}),
        }
        for name, component in report.components.items()
    }
    return {"bundle": str(out), "bytes": report.size, "components": components}


def _how_to_install(error: ModuleNotFoundError) -> str:
    """The message for a missing package of the extra. Any other missing module is a bug and is raised again."""
    missing = (error.name or "").partition(".")[0]
    if missing not in _EXTRA:
        raise error
    return f"export needs {missing}, which is not installed: {install_command('export')}"
