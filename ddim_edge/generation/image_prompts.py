"""The conditioning of IP-Adapters: the tokens of each adapter's image, and their scale, for one image."""

import functools

import numpy as np

from ..arrays import Array, Conditioning
from ..bundle.bundle import Bundle
from ..networks.image_prompts import ImagePromptEncoder
from .requests.origin import row_for_image
from .requests.request import Request


def image_prompt_conditioning(
    bundle: Bundle, request: Request, index: int, encoder: ImagePromptEncoder | None
) -> tuple[Conditioning, Conditioning]:
    """What image ``index`` is conditioned on by adapters, and what its unconditional prediction is.

    Without images the scale is 0: the network then computes what it does without adapters.
    """
    adapters = bundle.image_prompts.adapters
    images = request.origin.ip_adapter_images if request.origin else ()
    if not images or encoder is None:
        nothing = {adapter.tokens_key: _no_tokens(adapter.tokens, adapter.width) for adapter in adapters}
        nothing |= {adapter.scale_key: _scale(0.0) for adapter in adapters}
        return nothing, nothing
    conditional: dict[str, Array] = {}
    unconditional: dict[str, Array] = {}
    for adapter, image, scale in zip(adapters, images, request.ip_adapter_scale, strict=True):
        found = encoder.encode(row_for_image(image, index), adapter)
        conditional |= {adapter.tokens_key: found.tokens, adapter.scale_key: _scale(scale)}
        unconditional |= {adapter.tokens_key: found.negative, adapter.scale_key: _scale(scale)}
    return conditional, unconditional


@functools.lru_cache(maxsize=16)
def _no_tokens(count: int, width: int) -> Array:
    return np.zeros((1, count, width), np.float32)


@functools.lru_cache(maxsize=64)
def _scale(value: float) -> Array:
    return np.array([value], np.float32)
