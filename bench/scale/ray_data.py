"""Ray Data: a worker and the driver are killed, the files stay those of a plain run; what Ray costs beyond that."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..results import Record

_MOST_OVERHEAD = 0.10
_DEADLINE = 600.0


def measure(work: Path, quick: bool) -> Record:
    """Make images plainly and on Ray, kill one of Ray's workers and then the driver, and compare the folders."""
    images = 64 if quick else 2000
    plain = _finished(work, "plain", _start(work, "plain", images))
    undisturbed = _finished(work, "ray", _start(work, "ray", images, "--ray", "local"))
    killed = _killed_and_resumed(work, images)
    expected = _files(work / "plain")
    overhead = undisturbed["seconds"] / plain["seconds"] - 1
    failures = [f"{name} differs from the plain run" for name in ("ray", "killed") if _files(work / name) != expected]
    if not quick and overhead > _MOST_OVERHEAD:
        failures.append(f"Ray costs {overhead:.0%} beyond the start of the cluster, wanted {_MOST_OVERHEAD:.0%}")
    return {
        "images": images,
        "plain_seconds": plain["seconds"],
        "ray_seconds": undisturbed["seconds"],
        "overhead": round(overhead, 3),
        **killed,
        "failures": failures + killed.pop("problems"),
    }


def _killed_and_resumed(work: Path, images: int) -> dict[str, Any]:
    """Kill a worker after an eighth of the images, the driver after a quarter, and run the command again."""
    folder = work / "killed"
    driver = _start(work, "killed", images, "--ray", "local")
    _wait(lambda: len(_images(folder)) >= images // 8 or driver.poll() is not None)
    workers = _workers_of(driver.pid)
    for pid in workers[:1]:
        os.kill(pid, signal.SIGKILL)
    _wait(lambda: len(_images(folder)) >= images // 4 or driver.poll() is not None)
    ended_early = driver.poll() is not None
    driver.kill()
    driver.wait()
    left = len(_images(folder))
    _finished(work, "killed", _start(work, "killed", images, "--ray", "local"))
    problems = [] if workers else ["no worker was found to be killed"]
    problems += ["the run ended before its driver was killed"] if ended_early else []
    return {"images_at_the_kill": left, "problems": problems}


def _start(work: Path, name: str, images: int, *options: str) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("ddim-edge")
    command = [str(program), "run", "--provider", "cpu", "--num-images", str(images), "--batch-size", "4", "--json"]
    command += ["--output", f"{work / name}/", *options]
    # A file, not a pipe: processes of Ray that outlive a killed driver would hold a pipe open.
    with _printed(work, name).open("w") as printed:
        return subprocess.Popen(command, stdout=printed, stderr=subprocess.DEVNULL)


def _finished(work: Path, name: str, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the run printed as JSON."""
    process.wait(_DEADLINE)
    facts: dict[str, Any] = json.loads(_printed(work, name).read_text().splitlines()[-1])
    return facts


def _printed(work: Path, name: str) -> Path:
    return work / f"{name}.json"


def _images(folder: Path) -> list[Path]:
    return list(folder.glob("*.png"))


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _workers_of(driver: int) -> list[int]:
    """The processes of the driver's cluster that hold a model, by Ray's titles of processes."""
    return [pid for pid in _descendants(driver) if "MapWorker" in _title(pid)]


def _descendants(root: int) -> list[int]:
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {root})


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
