"""What ``ddim-edge run`` prints when it has made its images."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..diffusion.samplers import schedule_of
from ..generation.requests.request import Request


class Outcome(NamedTuple):
    """What a run has done."""

    path: str
    """The file or folder of the images, or its URL."""
    num_made: int
    """Images made by this run: a folder may have had some."""
    provider: str
    seconds: float
    """Without opening the model."""


def network_calls(request: Request) -> int:
    """Network calls of one batch of a request."""
    return len(schedule_of(request.sampler, request.num_steps, request.strength).timesteps)


def report(outcome: Outcome, request: Request) -> str:
    """One line for people."""
    path, num_made, provider, seconds = outcome
    images = f"{num_made} image{'s' if num_made != 1 else ''}"
    steps = f"{request.num_steps} step{'s' if request.num_steps != 1 else ''}"
    return (
        f"{path}  ({images}, {steps} of {request.sampler.name} on {provider} "
        f"in {seconds:.2f} s, {num_made / seconds:.2f} images/s)"
    )


def json_report(outcome: Outcome, request: Request, recipe: Mapping[str, Any]) -> str:
    """One line of JSON."""
    facts = {
        "file": outcome.path,
        "images": outcome.num_made,
        "sampler": request.sampler.name,
        "steps": request.num_steps,
        "network_calls": network_calls(request),
        "provider": outcome.provider,
        "seconds": round(outcome.seconds, 3),
        "images_per_second": round(outcome.num_made / outcome.seconds, 3),
    }
    return json.dumps({**facts, "recipe": recipe})
