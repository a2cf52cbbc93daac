"""``python -m bench.scale PART``: many processes and machines that work together, and the bounds that were wanted."""

import importlib
import json
import sys
import tempfile
from pathlib import Path

import click

from .. import results

PARTS = {"shards": "shards", "ray_serve": "ray_serve", "redis": "redis_jobs"}
"""The module of each part, with ``measure(work, quick)``, which returns its record with the list ``failures``."""


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--quick", is_flag=True, help="A small run that shows that everything works; nothing is written.")
def main(parts: tuple[str, ...], quick: bool) -> None:
    """Measure PARTS (default: all), write bench/results/scale_PART.json and render bench/README.md.

    Exit code 1 where something failed.
    """
    records = {part: _measured(part, quick) for part in parts or PARTS}
    click.echo(json.dumps(records, indent=1))
    sys.exit(1 if any(record["failures"] for record in records.values()) else 0)


def _measured(part: str, quick: bool) -> results.Record:
    with tempfile.TemporaryDirectory(prefix="ddim-edge-scale-") as work:
        record: results.Record = importlib.import_module(f".{PARTS[part]}", __package__).measure(Path(work), quick)
    if not quick:
        results.write(f"scale_{part}", record)
    return record


if __name__ == "__main__":
    main()
