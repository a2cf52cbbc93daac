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
    whole_calls: Mapping[int, int] = {}
    """How many of the images made so many whole network calls; empty where they were not counted."""
    what: str = "image"
    """What was made: image or array."""


def report(outcome: Outcome, request: Request) -> str:
    """One line for people."""
    there = f", {outcome.num_there} more were there" if outcome.num_there else ""
    what, steps = (
        f"{counted(outcome, outcome.num_made)}{there}",
        f"{request.num_steps} step{'s' if request.num_steps != 1 else ''}",
    )
    how = f"{steps} of {request.sampler.name}{cached(request, outcome.whole_calls)}, seed {request.seed}"
    return finished_before(outcome) or f"{outcome.path}  ({what}, {how}, {rate(outcome)})"


def finished_before(outcome: Outcome) -> str | None:
    """The line for a file or folder that had all images; None if some were made."""
    if outcome.num_made:
        return None
    if not is_folder(outcome.path):
        this = "this picture" if outcome.what == "image" else "of this run"
        return f"{outcome.path} is already {this}: nothing was made (--force makes it again)"
    there = counted(outcome, outcome.num_there)
    return f"{outcome.path}  (finished before: {there} of this run were there, none was made)"


def rate(outcome: Outcome) -> str:
    """The provider, the time and the speed."""
    per_second = outcome.num_made / outcome.seconds
    return f"on {outcome.provider} in {outcome.seconds:.2f} s, {per_second:.2f} {outcome.what}s/s"


def cached(request: Request, whole_calls: Mapping[int, int]) -> str:
    """How many of an image's calls were whole, and how many the step cache answered; empty without one.

    ``whole_calls`` as in ``Outcome``.
    """
    cache = request.step_cache
    if cache is None:
        return ""
    how = "forecast" if cache.kind == "forecast" else "shallow"
    if not whole_calls and cache.threshold is not None:
        return f", at least {least_whole_calls(request)} calls whole and the rest {how}"
    counts = whole_calls or [least_whole_calls(request)]
    fewest, most = min(counts), max(counts)
    if fewest < most:
        return f", {fewest} to {most} calls whole and the rest {how}"
    return f", {fewest} calls whole and {sampler_calls(request) - fewest} {how}"


def counted(outcome: Outcome, number: int) -> str:
    """Such as "1 image" and "16 arrays"."""
    return f"{number} {outcome.what}{'s' if number != 1 else ''}"


def json_report(outcome: Outcome, request: Request, recipe: Mapping[str, Any]) -> str:
    """One line of JSON."""
    calls = {"network_calls": network_calls(request), **_cache_facts(request, outcome.whole_calls)}
    steps = {"sampler": request.sampler.name, "steps": request.num_steps, **calls}
    return json.dumps({**facts(outcome), **steps, "seed": request.seed, "recipe": recipe})


def _cache_facts(request: Request, whole_calls: Mapping[int, int]) -> dict[str, float]:
    """An image's whole and cached calls, where they are known; the mean of the images if they differ."""
    cache = request.step_cache
    if cache is None or (cache.threshold is not None and not whole_calls):
        return {}
    whole, calls = _mean(whole_calls or {least_whole_calls(request): 1}), sampler_calls(request)
    made = {"network_calls": whole} if cache.kind == "forecast" else {}
    return {**made, "whole_calls": whole, "cached_calls": round(calls - whole, 2)}


def _mean(counts: Mapping[int, int]) -> float:
    """The mean of the keys, each as often as its value says; a whole number where it is one."""
    total, number = sum(key * count for key, count in counts.items()), sum(counts.values())
    return total // number if total % number == 0 else round(total / number, 2)


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
