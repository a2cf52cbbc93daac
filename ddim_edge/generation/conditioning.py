"""Conditioning: the UNet's inputs beside sample and timestep, for one image: class, prompt, size, guidance scale."""

import functools
import math
from collections.abc import Callable

import numpy as np

from ..arrays import Conditioning, Sample
from ..bundle.bundle import Bundle
from ..bundle.layout import CLASS_INPUT, GUIDANCE_INPUT, TEXT_MASK
from ..errors import BundleError, listed
from ..networks.denoiser import Denoiser
from ..runtime.sessions.session import Session
from ..text import Conditions, Prompt, SizeHints, Text
from .requests.origin import row_for_image
from .requests.request import Request
from .sample_shape import check_sample


def check_conditioning(bundle: Bundle, taken: set[str]) -> None:
    """BundleError where the conditioning that the UNet takes is not what the bundle's JSON files describe."""
    known = bundle.conditioning_names
    if taken != known:
        raise BundleError(
            f"{bundle.name}'s {bundle.denoiser.name} takes the conditioning {listed(sorted(taken)) or 'none'}, but the "
            f"bundle's JSON files describe {', '.join(sorted(known)) or 'none'}: export or copy it again"
        )


def fault_of(bundle: Bundle, unet: Session) -> str | None:
    """Why a bundle's UNet cannot be run; None for one that can."""
    try:
        denoiser = Denoiser(unet)
        check_sample(bundle, unet.inputs["sample"].shape[1:])
        check_conditioning(bundle, set(denoiser.conditioning_names))
    except BundleError as error:
        return str(error)
    return None


def prompt_or_class_conditioning(bundle: Bundle, request: Request, index: int, text: Text | None) -> Conditions:
    """The conditioning of image ``index``, and the unconditional one for classifier-free guidance.

    The latter is None without guidance, and for a UNet that takes the guidance scale as an input.
    """
    width = bundle.inputs.guidance_width
    guided = request.guided and width is None
    prompt = request.prompt(index)
    if prompt is None or text is None:
        unconditional = class_conditioning(bundle.null_class) if guided else None
        return Conditions(class_conditioning(request.label(index)), unconditional)
    _, *sides = bundle.image_shape(request.height, request.width)
    encode = functools.partial(text.encode, hints=SizeHints(target=(sides[0], sides[1])), guided=guided)
    encoded = _between_prompts(request, index, encode) if request.between_prompts else encode(prompt)
    if width is None:
        return encoded
    return Conditions({**encoded.conditioning, GUIDANCE_INPUT: embedded_guidance(request.guidance_scale, width)}, None)


def _between_prompts(request: Request, index: int, encode: Callable[[Prompt], Conditions]) -> Conditions:
    """The conditioning of image ``index`` on the straight line from the first prompt to the second; exact at both."""
    first, last = (request.prompt(position) for position in (0, 1))
    assert first is not None
    assert last is not None
    share = index / (request.num_images - 1)
    if share in (0, 1):
        return encode(last if share else first)
    start, end = encode(first), encode(last)
    return start._replace(conditioning=_mixed(start.conditioning, end.conditioning, share))


def _mixed(start: Conditioning, end: Conditioning, share: float) -> Conditioning:
    """A mask of tokens has those of both texts."""
    return {
        name: np.maximum(value, end[name]) if name == TEXT_MASK else value + np.float32(share) * (end[name] - value)
        for name, value in start.items()
    }


def class_conditioning(label: int | None) -> Conditioning:
    """The UNet's class input; empty for a model without classes."""
    return {} if label is None else {CLASS_INPUT: np.array([label])}


@functools.lru_cache(maxsize=64)
def embedded_guidance(scale: float, width: int) -> Sample:
    """Sinusoidal embedding of a guidance scale, float32 (1, width), for distilled models (Meng et al. 2023, sec. 3.1).

    Sines, then cosines, of 1000·(scale - 1) at half as many frequencies from 1 down to 1/10000; in float32, as
    diffusers computes them.
    """
    half = width // 2
    frequencies = np.exp(np.arange(half, dtype=np.float32) * np.float32(-math.log(10000) / (half - 1)))
    angles = np.float32(scale - 1) * np.float32(1000) * frequencies
    values = np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2, np.float32)])
    return values[np.newaxis]


def control_conditioning(bundle: Bundle, request: Request, index: int) -> tuple[Conditioning, Conditioning]:
    """The ControlNets' images and scales for image ``index``: of the conditional row, and of the unconditional one.

    Both rows are controlled, as in diffusers; a pooled ControlNet controls only the conditional one.
    """
    conditioning: dict[str, Sample] = {}
    unconditional: dict[str, Sample] = {}
    images = request.origin.controls if request.origin else ()
    for control, image, scale in zip(bundle.controls, images, request.control_scale, strict=True):
        conditioning |= {
            control.image_key: row_for_image(image, index),
            control.scale_key: np.array([scale], np.float32),
        }
        unconditional[control.scale_key] = (
            np.zeros(1, np.float32) if control.pooled else conditioning[control.scale_key]
        )
    return conditioning, {**conditioning, **unconditional}
