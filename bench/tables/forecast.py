"""The table of ``bench.forecast``."""

from ..results import Record
from .markdown import as_lines


def forecast(record: Record) -> str:
    """Network calls and PSNR of each run, on each model."""
    models = record["models"]
    titles = [
        f"{name} (guidance {found['guidance_scale']:g}, {found['num_images']} images)" for name, found in models.items()
    ]
    lines = []
    for cells in zip(*(found["rows"] for found in models.values()), strict=True):
        psnr = [f"{cell['psnr']:.1f}" if cell["psnr"] else "" for cell in cells]
        lines.append(" | ".join([cells[0]["name"], str(cells[0]["calls"]), *psnr]))
    return as_lines(" | ".join(["", "network calls", *titles]), lines)
