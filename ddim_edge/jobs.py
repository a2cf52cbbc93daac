"""From a request to the engine's jobs: one an image."""

from .bundle import Bundle
from .conditions import conditions_of
from .controls import control_conditions
from .engine import Job
from .guidance import guided_timesteps
from .noise import noise_stream
from .parts import Parts
from .request import Request
from .starting import starting_point

_NO_PARTS = Parts()


def job_of(bundle: Bundle, request: Request, index: int, parts: Parts = _NO_PARTS) -> Job:
    """The job that makes image ``index`` of ``request``; ``parts`` are the model's networks beside the UNet."""
    stream = noise_stream(request.seed + index, request.noise)
    shape = bundle.shape_of(request.height, request.width)
    sampler, extra = starting_point(request, index, stream, shape, parts.vae, repaints=bundle.inputs.repaints)
    conditioning, unconditional = conditions_of(bundle, request, index, parts.text)
    controls, controls_unconditional = control_conditions(bundle, request, index)
    guided = unconditional is not None
    return Job(
        sampler=sampler,
        conditioning={**conditioning, **extra, **controls},
        unconditional={**unconditional, **extra, **controls_unconditional} if unconditional is not None else None,
        guidance_scale=request.guidance_scale,
        guidance_rescale=request.guidance_rescale,
        guided_timesteps=guided_timesteps(request.sampler, request.guidance_interval) if guided else None,
    )
