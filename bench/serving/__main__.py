"""``python -m bench.serving load | overhead | soak | attack``: the server under load, and under attack."""

import json
import sys

import click
from rich.console import Console

from tests.serving.soak import run as soak

from ..results import Record
from . import load, overhead
from .attack import measure as attack
from .attack.attacks import ATTACKS

console = Console(stderr=True)


@click.group()
def main() -> None:
    """Measure the server; each command writes bench/results/serving_*.json and renders bench/README.md."""


@main.command("load")
@click.option("--requests", default=400, show_default=True, help="Requests of a cell, after its warm-up.")
@click.option("--loads", default="30,60,90,120", show_default=True, help="Percents of the capacity.")
@click.option("--batch", default=8, show_default=True, help="Requests of a batch, for the baseline that makes batches.")
@click.option("--capacity-seconds", default=30.0, show_default=True, help="Seconds for each figure of the capacity.")
def load_command(requests: int, loads: str, batch: int, capacity_seconds: float) -> None:
    """Three ways to serve one engine, under the same trace of Poisson arrivals. It can be interrupted and run again."""
    percents = [int(part) for part in loads.split(",")]
    with console.status("") as status:
        load.measure(requests, percents, batch, capacity_seconds, lambda text: status.update(text))


@main.command("overhead")
@click.option("--rounds", default=6, show_default=True, help="Requests of each of the eight clients.")
@click.option("--repetitions", default=9, show_default=True)
def overhead_command(rounds: int, repetitions: int) -> None:
    """The share of wall time outside the network, at batch 8: over HTTP, and with AsyncEngine alone."""
    with console.status("") as status:
        record = overhead.measure(rounds, repetitions, lambda text: status.update(text))
    click.echo(json.dumps(record, indent=1))


@main.command("soak")
@click.option("--minutes", default=30.0, show_default=True)
def soak_command(minutes: float) -> None:
    """Clients of every kind at 100 % of the capacity; exit code 1 where a check fails."""
    with console.status("") as status:
        _end(soak.measure(minutes, lambda text: status.update(text)))


@main.command("attack")
@click.option("--only", type=click.Choice(list(ATTACKS)), help="Run one attack; nothing is written.")
def attack_command(only: str | None) -> None:
    """Attack the server while one honest client asks every second; exit code 1 where a promise is broken."""
    with console.status("") as status:
        record = attack.measure(only, lambda text: status.update(text))
    click.echo(json.dumps(record, indent=1))
    sys.exit(1 if any(row["broken"] for row in record["rows"].values()) else 0)


def _end(record: Record) -> None:
    """Print a record; exit code 1 where it holds a failure."""
    click.echo(json.dumps(record, indent=1))
    well = not record["failures"] and not record.get("logged_500") and record["exit_code"] == 0
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
