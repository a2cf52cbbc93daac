"""Ray Data: a worker and a driver are killed, the files stay those of a plain run; what Ray costs beyond its start."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ddim_edge.runtime.hardware.cpu import describe

from .. import results
from ..serving.processes import command_line, tree

MOST_OVERHEAD = 0.10
_COMMAND = (sys.executable, "-c", "from ddim_edge.cli import main; main()", "run", "fashion-mnist")
_OPTIONS = ("--provider", "cpu", "--quiet")
_TIMED_STEPS, _KILLED_STEPS = 8, 2
_DEADLINE_S = 1200.0
_STORE_BYTES = 80 * 2**20


def measure(work: Path, quick: bool) -> results.Record:
    """Make 2,000 images plainly and on Ray; then with a worker and the driver killed (quick: only that, 64 images)."""
    threads = describe().chosen or 1
    timed = {"failures": []} if quick else _timed(Runs(work / "timed", 2000, _TIMED_STEPS), threads)
    killed = _killed(Runs(work / "killed", 64 if quick else 2000, _KILLED_STEPS), threads)
    return {
        **results.environment("ddim-edge", "onnxruntime", "ray"),
        "threads": threads,
        "timed": timed,
        "killed": killed,
        "failures": [*timed.pop("failures"), *killed.pop("failures")],
    }


def _timed(runs: "Runs", threads: int) -> results.Record:
    """Plain runs, and runs with one worker of as many threads on a cluster that runs. The start: a run of one batch."""
    one_batch = ("--num-images", "16")
    plain_start, plain = runs.finish("plain-start", *one_batch), runs.finish("plain")
    with cluster(threads) as address:
        ray_start = runs.finish("ray-start", "--ray", address, *one_batch)
        on_ray = runs.finish("ray", "--ray", address)
    start = ray_start["seconds"] - plain_start["seconds"]
    overhead = (on_ray["seconds"] - start) / plain["seconds"] - 1
    failures = list(runs.differences("ray"))
    if overhead > MOST_OVERHEAD:
        failures.append(f"Ray costs {overhead:.0%} beyond the start of its processes")
    return {
        "images": runs.images,
        "steps": runs.steps,
        "plain": plain,
        "ray": on_ray,
        "start_seconds": round(start, 1),
        "overhead": round(overhead, 3),
        "overhead_with_start": round(on_ray["seconds"] / plain["seconds"] - 1, 3),
        "failures": failures,
    }


def _killed(runs: "Runs", threads: int) -> results.Record:
    """Two workers, one of which is killed; then, in another folder, the driver is killed and started again."""
    runs.finish("plain")
    with cluster(2 * threads) as address:
        parts = [runs.kill("worker", address), runs.kill("driver", address)]
    failures = [f"the run ended before its {part['what']} was killed" for part in parts if not part["killed"]]
    return {
        "images": runs.images,
        "steps": runs.steps,
        "parts": parts,
        "failures": [*failures, *runs.differences("worker", "driver")],
    }


class Runs:
    """Runs of the same options, each into a folder of its own."""

    def __init__(self, work: Path, images: int, steps: int) -> None:
        self._work, self.images, self.steps = work, images, steps
        work.mkdir()

    def finish(self, name: str, *options: str) -> results.Record:
        """Run to the end; the seconds are of the whole process. With --ray, the processes' memory in both halves."""
        began = time.perf_counter()
        process = self._start(name, *options)
        peaks = [self._peaks(process, name, self.images // 2), self._peaks(process, name, self.images + 1)]
        self._check(process, name)
        seconds = round(time.perf_counter() - began, 1)
        return {"seconds": seconds, **({"peak_mib_in_each_half": peaks} if "--ray" in options else {})}

    def kill(self, what: str, address: str) -> results.Record:
        """Kill a worker or the driver at a quarter of the images; a driver is started again."""
        process, quarter = self._start(what, "--ray", address), self.images // 4
        _wait(lambda: self._count(what) >= quarter or process.poll() is not None)
        there, victims = self._count(what), [process.pid] if what == "driver" else workers()
        for pid in victims[:1]:
            os.kill(pid, signal.SIGKILL)
        if what == "driver":
            process.wait(_DEADLINE_S)
            process = self._start(what, "--ray", address)
        self._check(process, what)
        return {"what": what, "images_at_the_kill": there, "killed": bool(victims) and there < self.images}

    def differences(self, *names: str) -> Iterator[str]:
        """The folders whose files are not those of the plain run, to the byte."""
        wanted = _contents(self._work / "plain")
        for name in names:
            if _contents(self._work / name) != wanted:
                yield f"{name}: the files differ from those of the plain run"

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        own = ("--num-images", str(self.images), "--num-steps", str(self.steps), "--output", f"{self._work / name}/")
        # A file, not a pipe: processes of Ray would hold a pipe open after a kill.
        with (self._work / f"{name}.log").open("ab") as log:
            return subprocess.Popen([*_COMMAND, *_OPTIONS, *own, *options], stdout=log, stderr=log)

    def _check(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Wait for the end. Raises RuntimeError for an error, subprocess.TimeoutExpired for a run that hangs."""
        try:
            code = process.wait(_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        if code:
            raise RuntimeError(f"{name}: exit code {code}: {(self._work / f'{name}.log').read_text()[-2000:]}")

    def _count(self, name: str) -> int:
        return len(list((self._work / name).glob("*.png")))

    def _peaks(self, process: subprocess.Popen[bytes], name: str, until: int) -> dict[str, int]:
        """The largest resident sizes of the driver and of a worker, in MiB, until so many images are there."""
        driver = worker = 0
        while process.poll() is None and self._count(name) < until:
            driver = max(driver, _resident_mib(process.pid))
            worker = max([worker, *map(_resident_mib, workers())])
            time.sleep(1.0)  # looking takes time that the run would have
        return {"driver": driver, "worker": worker}


@contextlib.contextmanager
def cluster(cpus: int) -> Iterator[str]:
    """A cluster on this machine, a child of this process; gives its address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_MODE"] = "token"  # as ray.init does for its cluster: also for the processes that join it
    import ray

    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        object_store_memory=_STORE_BYTES,
        log_to_driver=False,
    )
    try:
        yield ray.get_runtime_context().gcs_address
    finally:
        ray.shutdown()


def workers() -> list[int]:
    """The processes of the cluster that hold a model, by Ray's titles of processes."""
    return [pid for pid in tree(os.getpid()) if b"MapWorker" in command_line(pid)]


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("no quarter of the images was made")
        time.sleep(0.02)


def _contents(folder: Path) -> dict[str, bytes]:
    """All files but those of a kill in the middle of a write, which have other names."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".part"}


def _resident_mib(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
    return 0
