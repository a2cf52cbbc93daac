"""Shows the stages of an export on stderr: a spinner on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

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
    with console.status("starting") as status:
        yield lambda component, stage: status.update(_line(component, stage))


def _line(component: str, stage: str) -> str:
    return f"{component} {list(STAGES).index(stage) + 1}/{len(STAGES)} {stage}: {STAGES[stage]}"
