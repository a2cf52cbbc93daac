"""A request's step cache: which of its network calls are whole, how many it makes, and whether it can be."""

from typing import NamedTuple

from ...bundle.bundle import Bundle
from ...diffusion.guidance import guided_timesteps
from ...diffusion.levels import Levels
from ...diffusion.samplers import schedule_of
from ...diffusion.step_cache import CallPlan, Kind, starts_of, whole_calls
from ...errors import ConfigError
from .request import Request


class ImageCalls(NamedTuple):
    """The calls of one image: those of the whole network, and those that the step cache answered."""

    whole: int
    cached: int


def call_plan(request: Request) -> CallPlan | None:
    """The plan of the calls of one image; None where all are whole, with an N of 1, too."""
    cache = request.step_cache
    if cache is None or cache.every == 1:
        return None
    return CallPlan(cache, sampler_calls(request), _starts(request))


def call_levels(request: Request) -> Levels:
    """The noise level of the sample at each call of one image."""
    return schedule_of(request.sampler, request.num_steps, request.strength).levels


def sampler_calls(request: Request) -> int:
    """How often the sampler of one image asks for a prediction: its whole and its cached calls."""
    return len(schedule_of(request.sampler, request.num_steps, request.strength).timesteps)


def least_whole_calls(request: Request) -> int:
    """The whole calls of one image; with a threshold, the fewest that there can be."""
    cache, calls = request.step_cache, sampler_calls(request)
    return calls if cache is None else sum(whole_calls(cache, calls, _starts(request)))


def image_calls(request: Request, whole: int) -> ImageCalls:
    """The calls of an image that made so many ``whole`` ones."""
    return ImageCalls(whole, 0 if request.step_cache is None else sampler_calls(request) - whole)


def network_calls(request: Request) -> int:
    """Network calls of one image, of the whole network or of its shallow graph; with a threshold, the most."""
    cache = request.step_cache
    forecasts = cache is not None and cache.kind == "forecast" and cache.threshold is None
    return least_whole_calls(request) if forecasts else sampler_calls(request)


def caches_of(bundle: Bundle) -> list[Kind]:
    """The step caches that a model can have."""
    return ["forecast", "deep"] if bundle.has_shallow_graph and not bundle.controls else ["forecast"]


def check_cache(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for a step cache that the model or the number of steps does not allow."""
    cache = request.step_cache
    if cache is None:
        return
    whole_calls(cache, sampler_calls(request), _starts(request))
    if request.sampler.takes_variance:
        raise ConfigError(
            f"cache {cache} does not work with a learned variance, which a cached call has none of: leave it out"
        )
    if cache.kind == "forecast":
        return
    if bundle.controls:
        raise ConfigError(f"cache {cache} does not work with ControlNets, and {bundle.name} has one: take forecast")
    if not bundle.has_shallow_graph:
        raise ConfigError(
            f"cache {cache} needs a shallow graph, and {bundle.name} has none: export the model with --step-cache, or "
            "take forecast, which needs none"
        )


def _starts(request: Request) -> tuple[int, ...]:
    schedule = schedule_of(request.sampler, request.num_steps, request.strength)
    guided = guided_timesteps(request.sampler, request.guidance_interval) if request.guided else None
    flags = None if guided is None else [timestep in guided for timestep in schedule.timesteps.tolist()]
    return starts_of(schedule.levels, flags)
