"""``python -m bench.fuzz [KIND …]``: hostile input of the kinds of tests/fuzz, many cases of each."""

import json
import resource
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click
from rich.console import Console

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.runtime.workers.child import Record, serve
from ddim_edge.runtime.workers.parent import Worker, WorkerFailedError
from tests.fuzz import wire
from tests.fuzz.kinds import KINDS, Play, case
from tests.fuzz.wire import Findings

from . import results, tables

SUBJECT = "fuzz"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "pillow", "fastapi", "uvicorn")
SEED = 2026
WIRE = "wire"
_MOST_BYTES = 16 * 2**30
"""Address space of a worker: a case that takes all memory must not end other programs."""
_AT_ONCE = 50
"""Cases that a worker plays before it says how they ended."""

console = Console(stderr=True)


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice([*KINDS, WIRE]))
@click.option("--cases", default=10_000, show_default=True, help="Cases of each kind.")
@click.option("--seed", default=SEED, show_default=True)
@click.option(
    "--only", type=int, metavar="INDEX", help="Play one case of one kind here, and print it: write no result."
)
def main(kinds: Sequence[str], cases: int, seed: int, only: int | None) -> None:
    """Play hostile input of the KINDS, by default of all; exit code 1 where a case ends wrongly.

    Writes bench/results/fuzz.json, with the cases that are faults, and renders bench/README.md.
    """
    if only is not None:
        _play_one(kinds[0], seed, only)
        return
    measured: Record = dict(results.read(SUBJECT).get("kinds", {}))
    for kind in kinds or (*KINDS, WIRE):
        with console.status(kind) as status:
            found = _measure(kind, seed, range(cases), status.update)
        outcomes = dict(sorted(found.outcomes.items()))
        measured[kind] = {"cases": cases, "outcomes": outcomes, "faults": found.faults}
        console.print(f"{kind}: {outcomes}, {len(found.faults)} faults")
        tables.publish(SUBJECT, {"seed": seed, "kinds": measured}, PACKAGES)
    sys.exit(1 if any(each["faults"] for each in measured.values()) else 0)


def _play_one(kind: str, seed: int, index: int) -> None:
    if kind == WIRE:
        click.echo(repr(wire.case(seed, index)))
        click.echo(wire.measure([index], seed, lambda _text: None))
        return
    click.echo(repr(case(kind, seed, index)))
    with KINDS[kind].player() as play:
        click.echo(play(case(kind, seed, index)))


def _measure(kind: str, seed: int, indices: range, notify: Notify) -> Findings:
    if kind == WIRE:
        return wire.measure(indices, seed, notify)
    findings = Findings()
    with _Players(kind, seed) as players:
        for first in range(indices.start, indices.stop, _AT_ONCE):
            notify(f"{kind}: case {first}, {len(findings.faults)} faults")
            players.play(range(first, min(first + _AT_ONCE, indices.stop)), findings)
    return findings


class _Players:
    """A worker process that plays cases of one kind, and another one where it did not survive."""

    def __init__(self, kind: str, seed: int) -> None:
        self._settings = {"kind": kind, "seed": seed}
        self._worker: Worker | None = None

    def __enter__(self) -> "_Players":
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()

    def play(self, indices: range, findings: Findings) -> None:
        """Play cases; where the worker ends, half as many at a time, until the one is found that ended it."""
        if self._worker is None:
            self._worker = Worker("bench.fuzz", self._settings)
            self._worker.ready()
        try:
            response = self._worker.ask(first=indices.start, stop=indices.stop)
        except WorkerFailedError as error:
            self._stop()
            if len(indices) > 1:
                middle = len(indices) // 2
                self.play(indices[:middle], findings)
                self.play(indices[middle:], findings)
                return
            response = {"outcomes": {"crashed": 1}, "faults": [{"index": indices.start, "why": str(error)}]}
        findings.outcomes.update(response["outcomes"])
        findings.faults += response["faults"]

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def respond(play: Play, settings: Mapping[str, Any], request: Mapping[str, Any]) -> Record:
    """The worker's response: how the cases from ``first`` to before ``stop`` ended."""
    kind, seed = settings["kind"], settings["seed"]
    played = {index: play(case(kind, seed, index)) for index in range(request["first"], request["stop"])}
    faults = [{"index": index, "why": each.fault} for index, each in played.items() if each.fault]
    return {"outcomes": Counter(each.outcome for each in played.values()), "faults": faults}


def _work() -> None:
    """The worker: plays what it is asked to, in a bounded memory."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    settings = json.loads(sys.argv[1])
    with KINDS[settings["kind"]].player() as play:
        serve(lambda _settings: ({}, partial(respond, play, settings)))


if __name__ == "__main__":
    _work() if sys.argv[1:2] and sys.argv[1].startswith("{") else main()
