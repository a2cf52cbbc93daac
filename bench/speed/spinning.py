"""(f) What two graphs that are called once an image cost the UNet beside them: by ONNX Runtime's defaults, and by ours.

The bundled UNet stands for all three. ``python -m bench.speed.spinning VARIANT GRAPH`` is one of the processes.
"""

import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

import ddim_edge

from ..results import ROOT
from .processes import Notify, Subject, compare

VARIANTS = ("alone", "spinning", "still")
STEPS = 8
ROUNDS = 15


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Seconds of the UNet's calls in images of 8 steps: medians of interleaved rounds, a process a variant."""
    graph = subject.bundle / "unet" / "model.onnx"
    command = [sys.executable, "-m", "bench.speed.spinning"]
    pipe = subprocess.PIPE
    children = {
        variant: subprocess.Popen([*command, variant, str(graph)], cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        for variant in VARIANTS
    }
    seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(ROUNDS + 1):
        notify(f"spinning, round {number} of {ROUNDS}")
        for variant, child in children.items():
            taken = _ask(child.stdin, child.stdout)
            seconds[variant] += [taken] if number else []  # the first round warms up
    for child in children.values():
        child.communicate()
    sides = {
        variant: {"seconds": round(statistics.median(taken), 5), **compare(seconds["alone"], taken)}
        for variant, taken in seconds.items()
    }
    return {"steps": STEPS, "rounds": ROUNDS, "sides": sides}


def _ask(stdin: IO[str] | None, stdout: IO[str] | None) -> float:
    assert stdin is not None
    assert stdout is not None
    stdin.write("\n")
    stdin.flush()
    return float(stdout.readline())


Run = Callable[[dict[str, Any]], Any]


def _open(graph: Path, variant: str, *, each_step: bool) -> Run:
    """With ONNX Runtime's defaults threads spin for long, whatever the graph is for."""
    if variant != "spinning":
        return ddim_edge.Session(graph, "cpu", each_step=each_step).run
    onnxruntime: Any = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


def _image(unet: Run, beside: list[Run]) -> float:
    """One image: what is called before the UNet, its steps, what is called after; the seconds of a step."""
    sample = np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32)
    feeds = {"sample": sample, "timestep": np.array([500]), "class_labels": np.array([0])}
    for run in beside[:1]:
        run(feeds)
    began = time.perf_counter()
    for _ in range(STEPS):
        unet(feeds)
    taken = (time.perf_counter() - began) / STEPS
    for run in beside[1:]:
        run(feeds)
    return taken


def main() -> None:
    variant, graph = sys.argv[1], Path(sys.argv[2])
    unet = _open(graph, variant, each_step=True)
    beside = [_open(graph, variant, each_step=False) for _ in range(0 if variant == "alone" else 2)]
    for _ in sys.stdin:
        print(statistics.median(_image(unet, beside) for _ in range(3)), flush=True)


if __name__ == "__main__":
    main()
