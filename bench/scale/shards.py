"""Shards without any engine: processes race for one folder; shards, one of them killed, make the files of one run."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ddim_edge.errors import DdimEdgeError
from ddim_edge.images.save import ImageFolder

from .. import results

PROCESSES = 4
BATCH = 8
COUNTS = (2, 5)
_COMMAND = (sys.executable, "-c", "from ddim_edge.cli import main; main()", "run", "fashion-mnist")
_IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
_RECIPE = {"model": "race", "seed": 1}


def measure(work: Path, quick: bool) -> results.Record:
    """Race 150 times (quick: 10), then run 2 and 5 shards of 1,000 images (quick: 120)."""
    race = _race(work / "race", rounds=10 if quick else 150)
    options = ["--num-images", str(120 if quick else 1000), "--batch-size", str(BATCH), "--num-steps", "5", "--quiet"]
    seconds = _run_one(options, work / "whole")
    wanted = _contents(work / "whole")
    shards = [_shards(options, work / f"shards-{count}", count, wanted) for count in COUNTS]
    return {
        **results.environment("ddim-edge", "onnxruntime", "numpy"),
        "race": race,
        "images": len(wanted) - 1,
        "one_process_seconds": seconds,
        "shards": shards,
        "failures": [*race["errors"], *(failure for part in shards for failure in part["failures"])],
    }


def _race(work: Path, rounds: int) -> results.Record:
    """Let processes open one new folder and write one image to it, at the same time, so many times."""
    spawn = multiprocessing.get_context("spawn")
    start, errors = spawn.Barrier(PROCESSES), spawn.Queue()
    arguments = (work, rounds, start, errors)
    processes = [spawn.Process(target=_racer, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    found = [error for _ in processes for error in errors.get(timeout=600)]
    for process in processes:
        process.join()
    names = {tuple(sorted(_contents(folder))) for folder in work.iterdir()}
    if names != {("000000.png", "run.json")}:
        found.append(f"a folder holds other files: {sorted(names)}")
    return {"processes": PROCESSES, "rounds": rounds, "writes": PROCESSES * rounds, "errors": found}


def _racer(work: Path, rounds: int, start, errors) -> None:  # type: ignore[no-untyped-def]
    """One process of the race; ``start`` is a barrier, ``errors`` a queue, which multiprocessing gives no types."""
    found = []
    for number in range(rounds):
        start.wait(60)
        try:
            folder = ImageFolder(work / str(number), _RECIPE, machine={"threads": "1"})
            folder.add(0, _IMAGE)
            if not folder.holds(0):
                found.append(f"round {number}: the image is not whole")
        except (DdimEdgeError, OSError) as error:
            found.append(f"round {number}: {error}")
    errors.put(found)


def _shards(options: Sequence[str], folder: Path, count: int, wanted: Mapping[str, bytes]) -> results.Record:
    """Run all shards at the same time; kill the last once it has written two batches, and start it again."""
    began = time.perf_counter()
    running = [_start(options, folder, f"{index}/{count}") for index in range(count)]
    victim, name = running.pop(), f"{(2 * count - 1) * BATCH:06d}.png"
    while victim.poll() is None and not (folder / name).exists():
        time.sleep(0.001)
    victim.kill()
    killed = victim.wait() < 0
    running.append(_start(options, folder, f"{count - 1}/{count}"))
    codes = [process.wait() for process in running]
    found = {name: contents for name, contents in _contents(folder).items() if not name.endswith(".part")}
    failures = [f"{count} shards: exit codes {codes}"] if any(codes) else []
    failures += [] if killed else [f"{count} shards: the shard ended before it was killed"]
    failures += [] if found == wanted else [f"{count} shards: the files differ from those of one run"]
    seconds = round(time.perf_counter() - began, 1)
    return {"shards": count, "killed": killed, "seconds": seconds, "identical": found == wanted, "failures": failures}


def _run_one(options: Sequence[str], folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run([*_COMMAND, *options, "--output", f"{folder}{os.sep}"], check=True)
    return round(time.perf_counter() - began, 1)


def _start(options: Sequence[str], folder: Path, shard: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*_COMMAND, *options, "--output", f"{folder}{os.sep}", "--shard", shard])


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
