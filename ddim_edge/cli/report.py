"""What ``ddim-edge run`` prints when it has made its images."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..generation.requests.request import Request
from ..generation.requests.step_cache import least_whole_calls, network_calls, sampler_calls
from ..images.save import is_folder


class Outcome(NamedTuple):
    """What a run has done."""

    path: str
    """The file or folder of the images, or its URL."""
    num_made: int
    """Images made by this run: a folder may have had some."""
    provider: str
    seconds: float
    """Without opening the model."""
    num_there: int = 0
    """Images that the folder had before."""


def report(outcome: Outcome, request: Request) -> str:
    """One line for people."""
    there = f", {outcome.num_there} more were there" if outcome.num_there else ""
    steps = f"{request.num_steps} step{'s' if request.num_steps != 1 else ''}"
    what = (
        f"{counted(outcome.num_made)}{there}, {steps} of {request.sampler.name}{cached(request)}, seed {request.seed}"
    )
    return finished_before(outcome) or f"{outcome.path}  ({what}, {rate(outcome)})"


def finished_before(outcome: Outcome) -> str | None:
    """The line for a file or folder that had all images; None if some were made."""
    if outcome.num_made:
        return None
    if not is_folder(outcome.path):
        return f"{outcome.path} is already this picture: nothing was made (--force makes it again)"
    return f"{outcome.path}  (finished before: {counted(outcome.num_there)} of this run were there, none was made)"


def rate(outcome: Outcome) -> str:
    """The provider, the time and the speed."""
    per_second = outcome.num_made / outcome.seconds
    return f"on {outcome.provider} in {outcome.seconds:.2f} s, {per_second:.2f} images/s"


def cached(request: Request) -> str:
    """How many of an image's calls are whole, and how many the step cache answers; empty without one."""
    cache = request.step_cache
    if cache is None:
        return ""
    whole, calls = least_whole_calls(request), sampler_calls(request)
    how = "forecast" if cache.kind == "forecast" else "shallow"
    if cache.threshold is not None:
        return f", {whole} to {calls} calls whole and the rest {how}"
    return f", {whole} calls whole and {calls - whole} {how}"


def counted(images: int) -> str:
    """Such as "1 image" and "16 images"."""
    return f"{images} image{'s' if images != 1 else ''}"


def json_report(outcome: Outcome, request: Request, recipe: Mapping[str, Any]) -> str:
    """One line of JSON."""
    steps = {"sampler": request.sampler.name, "steps": request.num_steps, "network_calls": network_calls(request)}
    return json.dumps({**facts(outcome), **steps, **_cache_facts(request), "seed": request.seed, "recipe": recipe})


def _cache_facts(request: Request) -> dict[str, Any]:
    """An image's whole and cached calls; with a threshold, the fewest and the most that there can be."""
    if request.step_cache is None:
        return {}
    whole = least_whole_calls(request)
    return {"whole_calls": whole, "cached_calls": sampler_calls(request) - whole}


def facts(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON values."""
    return {
        "file": outcome.path,
        "images": outcome.num_made,
        "images_there_before": outcome.num_there,
        "provider": outcome.provider,
        "seconds": round(outcome.seconds, 3),
        "images_per_second": round(outcome.num_made / outcome.seconds, 3),
    }
