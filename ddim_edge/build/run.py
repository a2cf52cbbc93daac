"""Runs a build: compiles one graph after another, each in its own process, and reports the progress."""

import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import BuildError, ProviderError
from ..runtime.compiled.entry import Compiled, write_record
from ..runtime.compiled.recipe import Recipe
from ..runtime.compiled.store import SourceGraph, built_of
from ..runtime.compiled.upkeep import clear, locked
from ..runtime.providers.device import Device
from ..runtime.workers.process import ChildProcess, exit_text

WORKER = (sys.executable, "-m", "ddim_edge.build.compiler")
TICK = 0.25
"""Seconds between two progress reports."""


class Progress(NamedTuple):
    """The progress of a build.

    Attributes:
        number, total: the part, from 1, and the number of parts.
        recipe: of this part.
        elapsed: seconds that this part has taken.
        left: seconds for all that is left, estimated from earlier parts; None before there are any.
        compiled: what was built; None while it is being built.
        skipped: whether it was built already.
        remark: what the provider left to the CPU; None for nothing.
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
    """Build into ``cache`` what is not built yet; yields progress at each part's start, while it runs, and at its end.

    When the iterator is closed or interrupted, the running part is killed at once; the next call builds it again.
    Raises ProviderError where the provider refuses, BuildError where its compiler crashes, ConfigError where another
    process builds into the same cache.
    """
    with locked(cache):
        built = [built_of(recipe) for recipe in recipes]
        estimate = _Estimate(recipes)
        for entry in filter(None, built):
            estimate.learn(entry.recipe, entry.seconds)
        for number, (recipe, compiled) in enumerate(zip(recipes, built, strict=True), 1):
            progress = Progress(number, len(recipes), recipe, 0, None)
            if compiled is None:
                yield from _build(progress, cache, device, estimate)
            else:
                estimate.finish(recipe)
                yield progress._replace(left=estimate.left(), compiled=compiled, skipped=True)


def _build(progress: Progress, cache: Path, device: Device, estimate: "_Estimate") -> Generator[Progress, None, None]:
    recipe = progress.recipe
    sha256 = SourceGraph(recipe.graph).sha256
    folder = recipe.folder(cache, sha256)
    clear(folder)
    began = time.monotonic()

    def now() -> Progress:
        elapsed = time.monotonic() - began
        return progress._replace(elapsed=elapsed, left=estimate.left(elapsed))

    where = {"folder": str(folder), "which": device.which, "allow_fallback": device.allow_fallback}
    job = {"recipe": recipe.to_json(folder, sha256), **where}
    remark = yield from _run(recipe, job, now)
    seconds = time.monotonic() - began
    compiled = write_record(folder, recipe, sha256, seconds)
    estimate.learn(recipe, seconds)
    estimate.finish(recipe)
    yield progress._replace(elapsed=seconds, left=estimate.left(), compiled=compiled, remark=remark)


def _run(recipe: Recipe, job: Mapping[str, Any], now: Callable[[], Progress]) -> Generator[Progress, None, str | None]:
    """Run the worker, yielding while it runs; returns its remark. It is killed when the iterator is closed."""
    worker = ChildProcess(WORKER)
    try:
        worker.send(job, last=True)
        for _ in _while_running(worker):
            yield now()
        response = worker.last_response() or {}
        code = worker.wait() or 0
        if code == -signal.SIGINT:
            raise KeyboardInterrupt
        if code:
            raise _failure(recipe, code, response, worker.last_error_line())
        return response.get("remark")
    finally:
        worker.kill()


def _while_running(worker: ChildProcess) -> Iterator[None]:
    yield
    while worker.wait(TICK) is None:
        yield


def _failure(recipe: Recipe, code: int, response: Mapping[str, Any], last_line: str | None) -> Exception:
    """The error that the worker reported, or else how its process ended."""
    if "error" in response:
        return ProviderError(response["error"])
    hint = "; the system kills what takes too much memory" if code == -getattr(signal, "SIGKILL", 0) else ""
    return BuildError(
        f"the compiler of {recipe.component} for {recipe.provider} {exit_text(code)}{hint}: {last_line or 'no message'}"
    )


class _Estimate:
    """Estimates the time left: a part takes as long as parts of its component did, or else as the average part."""

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        self._waiting = [recipe.component for recipe in recipes]
        self._took: dict[str, list[float]] = defaultdict(list)

    def learn(self, recipe: Recipe, seconds: float) -> None:
        self._took[recipe.component].append(seconds)

    def finish(self, recipe: Recipe) -> None:
        self._waiting.remove(recipe.component)

    def left(self, elapsed: float = 0) -> float | None:
        """Seconds for all unfinished parts, of which ``elapsed`` are spent already; None where nothing is known."""
        if not self._waiting:
            return 0
        if not self._took:
            return None
        return max(sum(map(self._expected, self._waiting)) - elapsed, 0)

    def _expected(self, component: str) -> float:
        took = self._took.get(component) or [seconds for some in self._took.values() for seconds in some]
        return sum(took) / len(took)
