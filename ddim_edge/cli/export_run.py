"""Runs an exporter, which needs PyTorch, and prints what came out."""

from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError
from ..extras import install_command

_EXTRA = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "safetensors", "onnxruntime")


def run_export(exporter: str, source: str, out: Path, **options: Any) -> None:
    """Export by the function ``exporter`` of ``ddim_edge_export``. ConfigError where its packages are missing."""
    try:
        _run(exporter, source, out, **options)
    except ModuleNotFoundError as error:
        raise ConfigError(_how_to_install(error)) from None


def _run(exporter: str, source: str, out: Path, **options: Any) -> None:
    """Export by the function ``exporter`` of ``ddim_edge_export``, and print what came out."""
    import ddim_edge_export

    with ddim_edge_export.show_stages() as on_stage:
        report = getattr(ddim_edge_export, exporter)(source, out, on_stage=on_stage, **options)
    for name, component in report.components.items():
        remark = f"; {component.remark}" if component.remark else ""
        if component.step is not None:
            remark += f"; its fused step at most {component.step.error:.1e} from NumPy's"
        if component.fp32_fallback_deviation is not None:
            remark += f"; its fp32 graph {component.fp32_fallback_deviation}"
        click.echo(
            f"{name}: {component.network} in {component.precision.name}, {component.size / 1e6:.1f} MB, "
            f"{component.deviation}{remark}"
        )
    click.echo(f"{out}: {report.size / 1e6:.1f} MB")


def _how_to_install(error: ModuleNotFoundError) -> str:
    """The message for a missing package of the extra. Any other missing module is a bug and is raised again."""
    missing = (error.name or "").partition(".")[0]
    if missing not in _EXTRA:
        raise error
    return f"export needs {missing}, which is not installed: {install_command('export')}"
