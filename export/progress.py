"""The stages of an export on stderr: a spinner on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Stage = Callable[[str], None]
"""Is called with the name of each stage as it begins."""
Progress = Callable[[str, str], None]
"""Likewise, with the name of the component before it."""

STAGES = {
    "load": "reading the weights",
    "export": "tracing the network to ONNX",
    "fit": "fitting the graph to ONNX Runtime",
    "verify": "running ONNX Runtime beside PyTorch",
    "fuse": "making the step a part of the graph",
    "write": "writing the bundle",
}


def ignore_stage(stage: str) -> None:
    """Show nothing."""


def ignore_progress(component: str, stage: str) -> None:
    """Show nothing."""


@contextmanager
def show_stages() -> Iterator[Progress]:
    """Yield a function that is called with each component and stage as it begins, and shows them on stderr."""
    # The stream itself: the export redirects sys.stdout, and the console would look sys.stderr up at each line.
    console = Console(file=sys.stderr, highlight=False)
    if not console.is_terminal:
        yield lambda component, stage: console.print(_line(component, stage), soft_wrap=True)
        return
    with console.status("starting") as status:
        yield lambda component, stage: status.update(_line(component, stage))


def _line(component: str, stage: str) -> str:
    return f"{component} {list(STAGES).index(stage) + 1}/{len(STAGES)} {stage}: {STAGES[stage]}"
