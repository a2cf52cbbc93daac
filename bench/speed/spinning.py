"""(f) What two graphs that are called once an image cost the UNet beside them, when their threads spin and when not.

The bundled UNet stands for all three. ``python -m bench.speed.spinning VARIANT GRAPH`` is one of the processes.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

import ddim_edge

from ..results import ROOT
from .processes import Notify, Subject, compare

VARIANTS = ("alone", "spinning", "still")
STEPS = 8
ROUNDS = 25


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


def _image(unet: ddim_edge.Session, beside: list[ddim_edge.Session]) -> float:
    """One image: what is called before the UNet, its steps, what is called after; the seconds of a step."""
    sample = np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32)
    feeds = {"sample": sample, "timestep": np.array([500]), "class_labels": np.array([0])}
    for session in beside[:1]:
        session.run(feeds)
    began = time.perf_counter()
    for _ in range(STEPS):
        unet.run(feeds)
    taken = (time.perf_counter() - began) / STEPS
    for session in beside[1:]:
        session.run(feeds)
    return taken


def main() -> None:
    variant, graph = sys.argv[1], Path(sys.argv[2])
    unet = ddim_edge.Session(graph, "cpu")
    count = 0 if variant == "alone" else 2
    beside = [ddim_edge.Session(graph, "cpu", each_step=variant == "spinning") for _ in range(count)]
    for _ in sys.stdin:
        print(statistics.median(_image(unet, beside) for _ in range(3)), flush=True)


if __name__ == "__main__":
    main()
