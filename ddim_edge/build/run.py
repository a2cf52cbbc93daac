"""Compiles one graph after another, each in a process of its own, and tells how far it is."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import BuildError, ProviderError
from ..runtime.compiled.recipe import Recipe
from ..runtime.compiled.store import Compiled, Original, find, write_record
from ..runtime.compiled.upkeep import clear, locked
from ..runtime.providers.device import Device

WORKER = (sys.executable, "-m", "ddim_edge.build.compiler")
TICK = 0.25
"""Seconds between two reports of the same part."""


class Progress(NamedTuple):
    """How far a build is.

    Attributes:
        number, total: which part of how many, from 1.
        recipe: of this part.
        elapsed: seconds that it has taken.
        left: seconds that all the rest will take, as far as earlier parts tell; None where they do not.
        compiled: what was built; None while it is being built.
        skipped: whether it was built already.
        remark: what the provider left to the CPU; None where that is nothing.
    """

    number: int
    total: int
    recipe: Recipe
    elapsed: float
    left: float | None
    compiled: Compiled | None = None
    skipped: bool = False
    remark: str | None = None


def build(recipes: Sequence[Recipe], cache: Path, device: Device) -> Generator[Progress, None, None]:
    """Build into ``cache`` what is not built yet, telling of each part when it begins, while it runs, and at its end.

    When the iterator is closed or interrupted, the part that is running ends at once, and the next call goes on with
    it. Raises ProviderError where the provider refuses, BuildError where it crashes, ConfigError where another process
    builds into the same cache.
    """
    with locked(cache):
        built = [_built(recipe) for recipe in recipes]
        estimate = _Estimate(recipes)
        for there in filter(None, built):
            estimate.learn(there.recipe, there.seconds)
        for number, (recipe, compiled) in enumerate(zip(recipes, built, strict=True), 1):
            progress = Progress(number, len(recipes), recipe, 0, None)
            if compiled is None:
                yield from _build(progress, cache, device, estimate)
            else:
                estimate.finish(recipe)
                yield progress._replace(left=estimate.left(), compiled=compiled, skipped=True)


def _build(progress: Progress, cache: Path, device: Device, estimate: "_Estimate") -> Generator[Progress, None, None]:
    recipe = progress.recipe
    sha256 = Original(recipe.graph).sha256
    folder = recipe.folder(cache, sha256)
    clear(folder)
    began = time.monotonic()

    def now() -> Progress:
        elapsed = time.monotonic() - began
        return progress._replace(elapsed=elapsed, left=estimate.left(elapsed))

    where = {"folder": str(folder), "which": device.which, "allow_fallback": device.allow_fallback}
    job = {"recipe": recipe.to_json(folder, sha256), **where}
    remark = yield from _run(recipe, json.dumps(job), now)
    seconds = time.monotonic() - began
    compiled = write_record(folder, recipe, sha256, seconds)
    estimate.learn(recipe, seconds)
    estimate.finish(recipe)
    yield progress._replace(elapsed=seconds, left=estimate.left(), compiled=compiled, remark=remark)


def _run(recipe: Recipe, job: str, now: Callable[[], Progress]) -> Generator[Progress, None, str | None]:
    """Run the worker, yielding as long as it runs; returns its remark. It is killed when the iterator is closed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        worker = subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=out, stderr=err, text=True)
        try:
            assert worker.stdin is not None
            with contextlib.suppress(BrokenPipeError), worker.stdin as stdin:
                stdin.write(job)
            for _ in _while_running(worker):
                yield now()
        finally:
            worker.kill()
            worker.wait()
        if worker.returncode == -signal.SIGINT:
            raise KeyboardInterrupt
        if worker.returncode:
            raise _failure(recipe, worker.returncode, out, err)
        return _said(out, "remark")


def _while_running(worker: "subprocess.Popen[str]") -> Iterator[None]:
    while True:
        yield
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(TICK)
            return


def _failure(recipe: Recipe, code: int, out: IO[str], err: IO[str]) -> Exception:
    """What the worker said, or how it ended."""
    reason = _said(out, "error")
    if reason is not None:
        return ProviderError(reason)
    err.seek(0)
    last = (err.read().strip().splitlines() or ["it said nothing"])[-1]
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    hint = "; the system kills what takes too much memory" if code == -getattr(signal, "SIGKILL", 0) else ""
    return BuildError(f"the compiler of {recipe.component} for {recipe.provider} {how}{hint}: {last}")


def _said(out: IO[str], key: str) -> str | None:
    """What the worker's one line holds; None where it said nothing of the kind."""
    out.seek(0)
    try:
        said = json.loads(out.read()).get(key)
    except (ValueError, AttributeError):
        return None
    return None if said is None else str(said)


def _built(recipe: Recipe) -> Compiled | None:
    """What is built of the very recipe, wherever it lies."""
    found = find(recipe.graph, recipe.provider, options=recipe.options, machine=recipe.machine)
    return next((compiled for compiled in found.fitting if compiled.recipe == recipe), None)


class _Estimate:
    """How long the rest will take: as long as the same component took, else as long as the others did."""

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        self._waiting = [recipe.component for recipe in recipes]
        self._took: dict[str, list[float]] = defaultdict(list)

    def learn(self, recipe: Recipe, seconds: float) -> None:
        self._took[recipe.component].append(seconds)

    def finish(self, recipe: Recipe) -> None:
        self._waiting.remove(recipe.component)

    def left(self, elapsed: float = 0) -> float | None:
        """Seconds for all that is not finished, of which ``elapsed`` were spent on the first of it."""
        if not self._waiting:
            return 0
        if not self._took:
            return None
        return max(sum(map(self._expected, self._waiting)) - elapsed, 0)

    def _expected(self, component: str) -> float:
        took = self._took.get(component) or [seconds for some in self._took.values() for seconds in some]
        return sum(took) / len(took)
