"""Jobs: creates the engine's jobs of a request, one for each image."""

from ..bundle.bundle import Bundle
from ..diffusion.guidance import guided_timesteps
from ..diffusion.noise import noise_stream
from ..diffusion.samplers.forecast import forecast
from ..networks.components import Components
from .conditioning import control_conditioning, prompt_or_class_conditioning
from .engine import Job
from .image_prompts import image_prompt_conditioning
from .initial_sample import start_sampler
from .requests.request import Request
from .requests.shape import sample_shape
from .requests.step_cache import call_levels, call_plan

_NO_COMPONENTS = Components()


def job_of(bundle: Bundle, request: Request, index: int, components: Components = _NO_COMPONENTS) -> Job:
    """The job that makes image ``index`` of ``request``; ``components`` are the model's networks beside the UNet."""
    stream = noise_stream(request.seed + index, request.noise)
    shape = sample_shape(bundle, request)
    sampler, extra = start_sampler(request, index, stream, shape, components.vae, takes_mask=bundle.inputs.takes_mask)
    plan = call_plan(request)
    if plan is not None and plan.kind == "forecast":
        sampler, plan = forecast(sampler, request.sampler, call_levels(request), plan), None
    conditioning, unconditional = prompt_or_class_conditioning(bundle, request, index, components.text)
    controls, no_controls = control_conditioning(bundle, request, index)
    images, no_images = image_prompt_conditioning(bundle, request, index, components.image_prompts)
    named = {} if request.conditioning is None else request.conditioning.row(index)
    alike = {**named, **extra}
    guided = unconditional is not None
    return Job(
        sampler=sampler,
        conditioning={**conditioning, **images, **alike, **controls},
        unconditional=None if unconditional is None else {**unconditional, **no_images, **alike, **no_controls},
        guidance_scale=request.guidance_scale,
        guidance_rescale=request.guidance_rescale,
        guided_timesteps=guided_timesteps(request.sampler, request.guidance_interval) if guided else None,
        keeps_variance=request.sampler.takes_variance,
        keeps_unconditional=request.guidance_mode == "cfg++",
        plan=plan,
    )
