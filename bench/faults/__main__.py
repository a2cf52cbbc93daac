"""``python -m bench.faults [COMMAND …]``: kills, full disks and read-only folders."""

import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from ddim_edge.benchmark.rounds import Notify

from .. import results, tables
from ..results import Record
from .disks import NOT_MEASURED, full_disk, read_only_folder
from .process import Whole, kill_once, run, run_whole
from .scenarios import SCENARIOS, Scenario, torn

SUBJECT = "faults"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "pillow", "torch", "diffusers")
SEED = 2026
GOOD = {NOT_MEASURED, "one line, then the same bytes"}
console = Console(stderr=True)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SCENARIOS)))
@click.option("--kills", default=200, show_default=True, help="SIGKILLs of all commands together.")
@click.option("--seed", default=SEED, show_default=True)
def main(names: Sequence[str], kills: int, seed: int) -> None:
    """Kill commands, fill their disk, and make their folder read-only; exit code 1 where something is torn or lost.

    Each command is written to bench/results/faults.json when it is measured; with NAMES, the others stay as they are.
    """
    faulty = False
    for name in names or SCENARIOS:
        with console.status(name) as status:
            record = measure(SCENARIOS[name], kills, seed, lambda text: status.update(text))
        console.print(f"{name}: {record}", markup=False)
        faulty |= has_fault(record)
        known = results.read(SUBJECT).get("commands", {}) | {name: record}
        ordered = {name: known[name] for name in SCENARIOS if name in known}
        tables.publish(SUBJECT, {"seed": seed, "commands": ordered}, PACKAGES)
    sys.exit(1 if faulty else 0)


def measure(scenario: Scenario, kills: int, seed: int, notify: Notify, *, disks: bool = True) -> Record:
    """Kill a command its share of ``kills`` times; then the full disk and the read-only folder."""
    generator = random.Random(f"{seed} {scenario.title}")
    place = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        whole = run_whole(scenario, place / "whole")
        record: Record = {"title": scenario.title, "kills": 0, "killed": 0, "torn": [], "not_the_same": 0}
        while record["kills"] < round(scenario.share * kills):
            notify(f"{scenario.title}: {record['kills']} kills, {len(record['torn'])} torn")
            _kill_and_go_on(scenario, place / "killed", whole, generator, record)
        if disks:
            record["full_disk"] = full_disk(scenario, place / "full", whole)
            record["read_only"] = read_only_folder(scenario, place / "read-only", whole)
    finally:
        shutil.rmtree(place)
    return record


def has_fault(record: Record) -> bool:
    """Whether anything was torn, lost, or did not end in one line."""
    said = {record.get("full_disk", NOT_MEASURED), record.get("read_only", NOT_MEASURED)}
    return bool(record["torn"] or record["not_the_same"] or said - GOOD)


def _kill_and_go_on(scenario: Scenario, folder: Path, whole: Whole, generator: random.Random, record: Record) -> None:
    """Kill the command as often as the scenario says, look at what is left, and let the same command finish."""
    folder.mkdir()
    scenario.prepare(folder)
    for _ in range(scenario.kills):
        ended = kill_once(scenario, folder, whole, generator)
        record["kills"] += 1
        record["killed"] += ended.code < 0
        record["torn"] += torn(scenario.contents(folder), whole.contents)
    run(scenario, folder)
    record["not_the_same"] += scenario.contents(folder) != whole.contents
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
