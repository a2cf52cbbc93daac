"""Progress bar of a run, on stderr if that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class StepRate(ProgressColumn):
    """Column with the steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} it/s" if task.speed else "– it/s")


@contextmanager
def step_bar(total: int, *, visible: bool, text: str = "step") -> Iterator[Callable[[], None]]:
    """Show a bar of ``total`` steps. Yields the function to call after each step."""
    console = Console(stderr=True)
    columns = (TextColumn(text), MofNCompleteColumn(), BarColumn(), StepRate(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not (visible and console.is_terminal))
    with bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
