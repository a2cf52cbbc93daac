"""Shows the stages of an export on stderr, without a share of the whole: how long a stage takes is not known before.

On a terminal there is the stage that runs, with its time so far, and above it those that have ended, with the time that
each took. Elsewhere there is a line for each stage, when it begins.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Display
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

Stage = Callable[[str], None]
"""Called with the name of each stage when it begins."""
Progress = Callable[[str, str], None]
"""Called with the names of the component and of its stage when the stage begins."""

STAGES = {
    "load": "reading the weights",
    "export": "tracing the network to ONNX",
    "fit": "rewriting the graph for ONNX Runtime",
    "verify": "comparing ONNX Runtime with PyTorch",
    "cache": "cutting out the shallow graph",
    "fuse": "adding the step to the graph",
    "write": "writing the bundle",
}


def ignore_stage(stage: str) -> None:
    """Show nothing."""


def ignore_progress(component: str, stage: str) -> None:
    """Show nothing."""


@contextmanager
def show_stages() -> Iterator[Progress]:
    """Yield a function that takes a component and a stage, and shows them on stderr."""
    # Pass the stream: the export redirects sys.stderr, and the console would look it up at each line.
    console = Console(file=sys.stderr, highlight=False)
    if not console.is_terminal:
        yield lambda component, stage: console.print(_line(component, stage), soft_wrap=True)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Display(*columns, console=console, transient=True) as display:
        stages = _Stages(display)
        yield stages.begin
        stages.end()


class _Stages:
    """The stages on a terminal."""

    def __init__(self, display: Display) -> None:
        self._display, self._task = display, display.add_task("starting")
        self._line, self._began = "", 0.0

    def begin(self, component: str, stage: str) -> None:
        """Show the stage that begins, and the one before as ended."""
        self.end()
        self._line, self._began = _line(component, stage), time.perf_counter()
        self._display.reset(self._task, description=self._line)

    def end(self) -> None:
        """Show the stage that has ended, with the time that it took."""
        if self._line:
            self._display.console.print(
                f"{self._line}, {time.perf_counter() - self._began:.1f} s", markup=False, soft_wrap=True
            )


def _line(component: str, stage: str) -> str:
    return f"{component} {stage}: {STAGES[stage]}"
