"""``ddim-edge export``: a trained UNet becomes a bundle."""

from pathlib import Path

import click

from ..errors import ConfigError

_EXTRA = ("torch", "diffusers", "onnx", "onnxscript", "safetensors", "onnxruntime")


@click.command("export")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def export_command(source: Path, out: Path) -> None:
    """Export SOURCE, a folder that diffusers saved, to the new folder OUT, which runs without PyTorch.

    SOURCE holds a UNet2DModel, or a DDPMPipeline or DDIMPipeline. ONNX Runtime is run beside PyTorch before OUT
    appears; what was measured is in OUT/export.json.

    \b
    Examples:
      ddim-edge export my-unet/ bundle/
      ddim-edge run bundle/
    """
    try:
        _export(source, out)
    except ModuleNotFoundError as error:
        raise ConfigError(_how_to_install(error)) from None


def _export(source: Path, out: Path) -> None:
    from ddim_edge_export import export_folder, show_stages

    with show_stages() as on_stage:
        report = export_folder(source, out, on_stage=on_stage)
    off = f"at most {report.error:.1e} standard deviations from PyTorch"
    click.echo(f"{out}: {report.network}, {report.size / 1e6:.1f} MB, {off}")


def _how_to_install(error: ModuleNotFoundError) -> str:
    """One line for a package that is not installed; anything else is a fault of ours and stays as it is."""
    missing = (error.name or "").partition(".")[0]
    if missing not in _EXTRA:
        raise error
    return f"export needs {missing}, which is not installed: pip install 'ddim-edge[export]'"
