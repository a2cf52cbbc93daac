"""The table of graphs in few bits on a CPU."""

from ..results import Record
from .markdown import Row, as_table

_HEADER = "{name} | of float32's time | pair by pair | private memory | disk | relative RMS | PSNR"
_FORM = "{title} | {ratio:.2f} | {low:.2f} to {high:.2f} | {private_mib} MiB | {disk_mb:.1f} MB | {loss} | {picture}"


def low_bits(record: Record) -> str:
    """One table per bundle."""
    return "\n\n".join(_table(name, bundle) for name, bundle in record["bundles"].items())


def _table(name: str, bundle: Record) -> str:
    shape = " × ".join(map(str, bundle["shape"]))
    header = _HEADER.format(name=f"{name}, samples of {shape}")
    return as_table(header, _FORM, [_row(title, row) for title, row in bundle["rows"].items()])


def _row(title: str, row: Record) -> Row:
    return {
        **row,
        "title": title,
        "low": row["pairs"][0],
        "high": row["pairs"][1],
        "loss": f"{row['rms']:.2%}" if row["rms"] else "",
        "picture": f"{row['psnr']:.1f} dB" if row.get("psnr") else "",
    }
