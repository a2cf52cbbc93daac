"""Progress on stderr, if that is a terminal. It is drawn ten times a second, however many steps are made meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text


class StepRate(ProgressColumn):
    """Column with the steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} it/s" if task.speed else "– it/s")


class Position(ProgressColumn):
    """Column with the phase, which images are made, of how many, and their step."""

    def __init__(self, num_images: int, calls: int) -> None:
        super().__init__(Column(no_wrap=True))
        self._num_images, self._calls, self._width = num_images, calls, 0

    def render(self, task: Task) -> Text:
        text = position(task.fields["phase"], task.fields["indices"], self._num_images, task.completed, self._calls)
        self._width = max(self._width, len(text))  # the bar beside it stays where it is
        return Text(text.ljust(self._width))


def position(phase: str, indices: range, num_images: int, calls_made: float, calls: int) -> str:
    """Such as "steps  image 3 of 16, step 12 of 50". ``indices``: the images, from 0 on; none before the first phase.

    ``calls_made``: the network calls of all batches so far. ``calls``: those of one batch.
    """
    if not indices:
        return ""
    images = f"image {indices.start + 1}" if len(indices) == 1 else f"images {indices.start + 1}-{indices.stop}"
    step = f", step {calls_made % calls:.0f} of {calls}" if phase == "steps" else ""
    return f"{phase:<6} {images} of {num_images}{step}"


class ImageBar:
    """The bar of a run that makes images in batches, each in as many network calls."""

    def __init__(self, bar: Progress, num_batches: int, calls: int) -> None:
        total = num_batches * calls
        self._bar, self._task = bar, bar.add_task("", total=total, phase="", indices=range(0))
        self._calls, self._of_batch = calls, 0

    def phase(self, name: str, indices: range) -> None:
        """Show a phase that begins."""
        self._bar.update(self._task, phase=name, indices=indices)

    def advance(self, *, ends_batch: bool) -> None:
        """A network call was made. A step cache with a threshold can end a batch after fewer calls than it has."""
        self._of_batch += 1
        self._bar.advance(self._task, self._calls - self._of_batch + 1 if ends_batch else 1)
        self._of_batch = 0 if ends_batch else self._of_batch


@contextmanager
def image_bar(num_images: int, num_batches: int, calls: int, *, visible: bool) -> Iterator[ImageBar]:
    """Show the progress of a run of so many images, of which so many batches are made, each in so many calls."""
    columns = (Position(num_images, calls), BarColumn(None), StepRate(), TimeRemainingColumn())
    with _shown(columns, visible=visible) as bar:
        yield ImageBar(bar, num_batches, calls)


@contextmanager
def step_bar(total: int, *, visible: bool, text: str = "step") -> Iterator[Callable[[], None]]:
    """Show a bar of ``total`` steps. Yields the function to call after each step."""
    columns = (TextColumn(text), MofNCompleteColumn(), BarColumn(), StepRate(), TimeRemainingColumn())
    with _shown(columns, visible=visible) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


@contextmanager
def phase(text: str, *, visible: bool) -> Iterator[None]:
    """Show a phase without steps, and how long it has taken."""
    with _shown((TextColumn(text), SpinnerColumn(), TimeElapsedColumn()), visible=visible) as bar:
        bar.add_task("", total=None)
        yield


def _shown(columns: tuple[ProgressColumn, ...], *, visible: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not (visible and console.is_terminal))
