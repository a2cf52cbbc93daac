"""Jobs: creates the engine's jobs of a request, one for each image."""

from functools import partial

from ..arrays import Conditioning
from ..bundle.bundle import Bundle
from ..diffusion.guidance import guided_timesteps
from ..diffusion.noise import noise_stream
from ..diffusion.samplers.forecast import forecast
from ..networks.components import Components
from ..networks.row import Weighted
from .conditioning import control_conditioning, prompt_or_class_conditioning
from .engine import Job
from .guided_sum import GuidedSum, guided_sum
from .image_prompts import image_prompt_conditioning
from .initial_sample import start_sampler
from .picture_channels import picture_channels, without_guided
from .requests.loras import active
from .requests.request import Request
from .requests.shape import sample_shape
from .requests.step_cache import call_levels, call_plan

_NO_COMPONENTS = Components()


def job_of(bundle: Bundle, request: Request, index: int, components: Components = _NO_COMPONENTS) -> Job:
    """The job that makes image ``index`` of ``request``; ``components`` are the model's networks beside the UNet."""
    stream = noise_stream(request.seed + index, request.noise)
    shape = sample_shape(bundle, request)
    channels = partial(picture_channels, bundle, request, index, stream, components.vae)
    noised = channels() if bundle.inputs.noises_picture else {}  # diffusers draws a picture's noise first
    sampler = start_sampler(request, index, stream, shape, components.vae, takes_mask=bundle.inputs.takes_mask)
    plan = call_plan(request)
    if plan is not None and plan.kind == "forecast":
        sampler, plan = forecast(sampler, request.sampler, call_levels(request), plan), None
    extra = noised or channels()
    conditioning, unconditional = prompt_or_class_conditioning(bundle, request, index, components.text)
    controls, no_controls = control_conditioning(bundle, request, index)
    images, no_images = image_prompt_conditioning(bundle, request, index, components.image_prompts)
    named = {} if request.conditioning is None else request.conditioning.row(index)
    alike = {**named, **extra}
    told: Conditioning = {**conditioning, **images, **alike, **controls}
    untold = None if unconditional is None else {**unconditional, **no_images, **alike, **no_controls}
    summed = GuidedSum(told) if untold is None else _guided(bundle, request, told, untold)
    return Job(
        sampler=sampler,
        conditioning=summed.conditioning,
        unconditional=summed.unconditional,
        guidance_scale=summed.scale,
        guidance_rescale=request.guidance_rescale,
        guided_timesteps=None if untold is None else guided_timesteps(request.sampler, request.guidance_interval),
        loras=active(request.loras),
        keeps_variance=request.sampler.takes_variance,
        keeps_unconditional=request.guidance_mode == "cfg++",
        plan=plan,
        others=summed.others,
    )


def _guided(bundle: Bundle, request: Request, told: Conditioning, untold: Conditioning) -> GuidedSum:
    """The sum of predictions that guides. ``told`` and ``untold``: the conditioning with and without class or text."""
    scale, image_scale = request.guidance_scale, request.image_guidance_scale
    if image_scale is not None:
        nothing = {**untold, **without_guided(bundle.inputs.channels, untold)}
        weights = scale, image_scale - scale, 1 - image_scale
        return guided_sum([*map(Weighted, (told, untold, nothing), weights)])
    if request.sampler.takes_variance or request.guidance_interval or request.guidance_mode == "cfg++":
        return GuidedSum(told, untold, scale)  # what is told is needed, whatever its weight
    return guided_sum([Weighted(told, scale), Weighted(untold, 1 - scale)])
