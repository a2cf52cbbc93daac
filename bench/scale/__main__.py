"""``python -m bench.scale PART``: many processes and machines that work together, and the bounds that were wanted."""

import importlib
import json
import sys
import tempfile
from pathlib import Path

import click

from .. import results

PARTS = ("shards", "ray_data", "ray_serve", "redis", "triton", "workers")
"""Each is a module here with ``measure(work, quick)``, which returns its record with the list ``failures``."""
_MODULES = {"redis": "redis_jobs"}
"""Parts whose module would have the name of a package."""


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
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
        record: results.Record = importlib.import_module(f".{_MODULES.get(part, part)}", __package__).measure(
            Path(work), quick
        )
    if not quick:
        results.write(f"scale_{part}", record)
    return record


if __name__ == "__main__":
    main()
