"""The table of kills, full disks and read-only folders."""

from ..results import Record
from .markdown import as_table


def faults(record: Record) -> str:
    """A row for each command."""
    header = (
        "command | SIGKILLs | that came before its end | torn files | other bytes in the end | full disk | read-only"
    )
    form = "{title} | {kills} | {killed} | {torn} | {not_the_same} | {full_disk} | {read_only}"
    rows = [{**row, "torn": len(row["torn"])} for row in record["commands"].values()]
    return f"{as_table(header, form, rows)}\n\nSeed {record['seed']}."
