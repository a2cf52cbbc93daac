"""Worker processes and interleaved rounds of them."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from ..results import ROOT

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What is measured: the bundle, and the diffusers folder of its trained UNet where there is one."""

    bundle: Path
    diffusers_folder: Path | None = None


@dataclass(frozen=True)
class Measurement:
    """One batch: wall seconds, those of them inside ONNX Runtime, and the process's peak memory so far."""

    seconds: float
    session_seconds: float
    peak_mib: float


class Worker:
    """A process that is ready to make a batch; use it as a context, at whose end it is stopped."""

    def __init__(self, kind: str, subject: Subject, batch_size: int, num_steps: int) -> None:
        self.kind = kind
        command = [sys.executable, "-m", "bench.speed.worker", kind, "--bundle", str(subject.bundle)]
        command += ["--batch-size", str(batch_size), "--num-steps", str(num_steps)]
        if subject.diffusers_folder is not None:
            command += ["--diffusers-folder", str(subject.diffusers_folder)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._read("ready")

    def measure(self) -> Measurement:
        """Make one batch now."""
        stdin = self._stream(self._process.stdin)
        stdin.write("\n")
        stdin.flush()
        return Measurement(**json.loads(self._read("{")))

    def _read(self, start: str) -> str:
        for line in self._stream(self._process.stdout):
            if line.startswith(start):
                return line
        raise RuntimeError(f"the worker {self.kind} ended with code {self._process.wait()}: its message is above")

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream(self._process.stdin).close()
        self._process.wait()
        self._stream(self._process.stdout).close()


def interleaved(workers: Sequence[Worker], rounds: int, notify: Notify) -> dict[str, list[Measurement]]:
    """A, B, C, A, B, C …: what disturbs the machine disturbs all alike."""
    taken: dict[str, list[Measurement]] = {worker.kind: [] for worker in workers}
    for number in range(rounds):
        notify(f"round {number + 1} of {rounds}")
        for worker in workers:
            taken[worker.kind].append(worker.measure())
    return taken


def compare(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """How many times longer theirs takes: the ratio of the medians, and the lowest and highest of the pairs."""
    pairs = [their / our for our, their in zip(ours, theirs, strict=True)]
    ratio = statistics.median(theirs) / statistics.median(ours)
    return {"ratio": round(ratio, 3), "pairs": [round(min(pairs), 3), round(max(pairs), 3)]}
