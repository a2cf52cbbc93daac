"""Report of ``ddim-edge bench`` as text, at most 100 columns wide."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 100
_MIB = 2**20
_GAP = 2
_NO_VALUE = "–"
_MIN_NAME_WIDTH = 8
_CONSOLE = Console(width=1000, color_system=None, markup=False, highlight=False, emoji=False)
"""Wider than any table, so that rich itself never cuts one."""

Row = Mapping[str, Any]


def text_of(report: Mapping[str, Any]) -> str:
    """Return the report: the settings, one row per configuration, reasons for missing figures, the machine."""
    rows = report["rows"]
    made = [row for row in rows if row["rounds"]]
    lines = [_title(report), ""] if made else []
    lines += _table(made) if made else []
    lines += [""] if made else []
    lines += [f"{name_of(row)}: {row['reason']}" for row in rows if row["reason"]]
    lines += _notes(rows)
    lines.append(_machine_line(report))
    return "\n".join(lines)


def name_of(row: Row) -> str:
    """Return the name of a configuration, such as "tiny, batch 1, ddim-edge on cpu"."""
    side = "ddim-edge" if row["side"] == "ddim-edge" else f"diffusers, {row['side']}"
    return f"{Path(row['bundle']).name}, batch {row['batch']}, {side} on {row['provider']}"


def _title(report: Mapping[str, Any]) -> str:
    of = report["settings"]
    return (
        f"{of['steps']} steps of DDIM, {of['repeats']} rounds; step and image (a whole batch) in ms, "
        "median and 95th percentile"
    )


def _table(rows: Sequence[Row]) -> list[str]:
    columns = {head: [read(row) for row in rows] for head, read in _COLUMNS.items()}
    if len({row["bundle"] for row in rows}) == 1:
        del columns["model"]
    filled = {head: cells for head, cells in columns.items() if any(cell != _NO_VALUE for cell in cells)}
    if _width(filled) > WIDTH:
        filled = _narrowed(filled)
    with _CONSOLE.capture() as capture:
        _CONSOLE.print(_table_of(filled))
    return [line.rstrip() for line in capture.get().splitlines()]


def _table_of(columns: Mapping[str, Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="")
    for head in columns:
        table.add_column(head, justify="left" if head in ("model", "on") else "right", no_wrap=True)
    for line in zip(*columns.values(), strict=True):
        table.add_row(*line)
    return table


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    return _CONSOLE.measure(_table_of(columns)).maximum


def _narrowed(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Shorten the table: cut model names in the middle, then drop the least important columns."""
    kept = {head: list(cells) for head, cells in columns.items()}
    for head in ("image p95", "step p95", "MiB"):
        if "model" in kept:
            room = WIDTH - _width({name: cells for name, cells in kept.items() if name != "model"}) - _GAP
            kept["model"] = [_cut(cell, max(room, _MIN_NAME_WIDTH)) for cell in columns["model"]]
        if _width(kept) <= WIDTH:
            break
        kept.pop(head, None)
    return kept


def _cut(name: str, room: int) -> str:
    half = (room - 1) // 2
    return name if len(name) <= room else f"{name[: room - 1 - half]}…{name[-half:]}"


def _time(part: str, which: str) -> Callable[[Row], str]:
    """Return a function that formats a time of a row in ms, with about three digits."""

    def read(row: Row) -> str:
        if row[part] is None:
            return _NO_VALUE
        return f"{1000 * row[part][which]:#.3g}" if row[part][which] < 0.1 else f"{1000 * row[part][which]:.0f}"

    return read


def _memory(part: str) -> Callable[[Row], str]:
    return lambda row: _NO_VALUE if row[part] is None else f"{row[part] / _MIB:.0f}"


def _on(row: Row) -> str:
    provider = str(row["provider"])
    return provider if row["side"] == "ddim-edge" else f"{_SIDES.get(row['side'], row['side'])} {provider}"


_SIDES = {"eager": "torch", "default": "compiled"}

_COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "model": lambda row: Path(row["bundle"]).name,
    "type": lambda row: str(row["precision"]),
    "on": _on,
    "batch": lambda row: str(row["batch"]),
    "step": _time("step", "median"),
    "step p95": _time("step", "p95"),
    "image": _time("image", "median"),
    "image p95": _time("image", "p95"),
    "text": lambda row: _time("prepare", "median")(row) if row["facts"].get("reads_text") else _NO_VALUE,
    "VAE": lambda row: _time("finish", "median")(row) if row["facts"].get("decodes") else _NO_VALUE,
    "images/s": lambda row: f"{row['images_per_second']:.3g}",
    "idle": lambda row: _NO_VALUE if row["idle_share"] is None else f"{row['idle_share']:.1%}",
    "GPU MiB": _memory("gpu_memory"),
    "MiB": _memory("peak_memory"),
}


def _notes(rows: Sequence[Row]) -> list[str]:
    """The line about diffusers, if it ran: which weights it had, and how much its predictions differ."""
    baselines = [row for row in rows if row["side"] != "ddim-edge" and row["rounds"]]
    if not baselines:
        return []
    if all(row["facts"]["weights"] == "random" for row in baselines):
        return ["diffusers: the same networks with random weights; the time does not depend on them (no --source)"]
    worst = max((row["facts"].get("difference", 0.0) for row in baselines), default=0.0)
    return [f"diffusers: the same weights; predictions for the same input differ by at most {worst:.1e} (relative)"]


def _machine_line(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    gpus = "".join(f", {name}" for name in machine["gpus"])
    return f"{machine['cpu']}, {machine['cores']} cores{gpus}; {report['date'][:10]}; {versions}"
