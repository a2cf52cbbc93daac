"""Opens a model, and makes the images that a destination does not have, with progress on a terminal."""

import time

import click

from ..generation.memory.limit import MemoryLimit
from ..generation.pipeline import Pipeline
from ..generation.requests.request import Request
from ..generation.requests.step_cache import network_calls
from ..generation.warmup import warm_up, warm_up_calls
from .folder_output import FolderOutput
from .output import FileOutput
from .progress import image_bar, step_bar


def make_images(
    pipeline: Pipeline, request: Request, destination: FileOutput | FolderOutput, *, visible: bool
) -> float:
    """Make the images that the destination does not have yet. Returns the seconds, without opening the model."""
    chunks = destination.chunks(request)
    began = time.perf_counter()
    try:
        with image_bar(request.num_images, len(chunks), network_calls(request), visible=visible) as bar:
            for progress in pipeline.run(request, chunks, bar.phase):
                destination.take(progress)
                bar.advance(ends_batch=progress.ended)
        destination.write()
    except KeyboardInterrupt:
        raise click.Abort(destination.interruption_message(request)) from None
    finally:
        destination.close()
    return time.perf_counter() - began


def make_and_drop(pipeline: Pipeline, request: Request, *, visible: bool) -> None:
    """Run the model once at every batch size (--warmup)."""
    with step_bar(warm_up_calls(request), visible=visible, text="warming up") as advance:
        warm_up(pipeline, request, advance)


def within(limit: MemoryLimit, request: Request, *, turns: bool | None, again: bool, tiling: bool | None) -> Request:
    """The request as it keeps the limit. An image that is made ``again`` is made as it was, or there is an error."""
    if again:
        limit.check(request, turns=turns)
        return request
    return limit.fit(request, may_tile=tiling is not False, turns=turns)
