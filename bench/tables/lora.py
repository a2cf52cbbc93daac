"""The table of ``bench.lora``."""

from ..results import Record
from .markdown import as_table


def lora(record: Record) -> str:
    """Seconds of each side, and how many times longer it takes than the network without slots."""
    mega = {key: record[f"{key}_bytes"] / 1e6 for key in ("adapter", "network")}
    told = (
        f"A network of {mega['network']:.0f} MB, {record['rows']} rows, adapters of rank {record['rank']}, of "
        f"{mega['adapter']:.1f} MB each."
    )
    rows = [{**side, "range": f"{side['pairs'][0]:.2f} to {side['pairs'][1]:.2f}"} for side in record["sides"]]
    header = "rows and adapters | seconds | times the network without slots | in the rounds"
    return told + "\n\n" + as_table(header, "{name} | {seconds:.3f} | {ratio:.2f} | {range}", rows)
