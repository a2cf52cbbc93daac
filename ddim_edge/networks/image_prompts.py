"""Image prompts (IP-Adapter): encodes pictures to the tokens that the UNet attends to beside those of the text.

Ye et al. 2023, https://arxiv.org/abs/2308.06721.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Sample
from ..bundle.image_prompts import ImagePrompts, IpAdapterConfig
from ..bundle.layout import IMAGE_ENCODER
from ..errors import BundleError, PredictionError, listed
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.session import Session

_INPUT = "pixel_values"
_CACHED_IMAGES = 16


class ImageTokens(NamedTuple):
    """A picture's tokens, and those for the unconditional prediction, float32 (1, tokens, width), both shared."""

    tokens: Array
    negative: Array


class ImagePromptEncoder:
    """The image encoder with the projections of a bundle's adapters. It caches the tokens of recent pictures.

    The network is opened at its first use: a request may have no image.
    """

    def __init__(self, folder: Path, prompts: ImagePrompts, sessions: Sessions) -> None:
        self._folder, self._prompts, self._sessions = folder, prompts, sessions

    def encode(self, pixels: Sample, adapter: IpAdapterConfig) -> ImageTokens:
        """The tokens that an adapter makes of a prepared picture, float32 (1, 3, side, side).

        Raises BundleError for a graph that does not fit the bundle, PredictionError for NaN.
        """
        outputs = self._outputs(pixels.tobytes())
        return ImageTokens(outputs[adapter.tokens_key], outputs[adapter.negative_key])

    @functools.cached_property
    def _outputs(self) -> Callable[[bytes], Mapping[str, Array]]:
        # The cache must not refer to self: a reference cycle would keep the session alive until a garbage collection.
        return functools.lru_cache(_CACHED_IMAGES)(functools.partial(_run, self._opened(), self._prompts.side))

    def _opened(self) -> Session:
        session = self._sessions.open(self._folder / IMAGE_ENCODER.graph, self._folder)
        _check_outputs(session, self._prompts)
        return session


def _check_outputs(session: Session, prompts: ImagePrompts) -> None:
    wanted = {name for adapter in prompts.adapters for name in (adapter.tokens_key, adapter.negative_key)}
    if session.inputs.keys() != {_INPUT} or not wanted <= session.outputs.keys():
        raise BundleError(
            f"{session.name} must take {_INPUT} and return {listed(sorted(wanted))}; it takes "
            f"{listed(session.inputs)} and returns {listed(session.outputs)}: export it again"
        )


def _run(session: Session, side: int, pixels: bytes) -> Mapping[str, Array]:
    picture = np.frombuffer(pixels, np.float32).reshape(1, 3, side, side)
    outputs = {name: value.astype(np.float32, copy=False) for name, value in session.run({_INPUT: picture}).items()}
    for value in outputs.values():
        if not np.isfinite(value).all():
            raise PredictionError(f"{session.name} returned NaN or infinity: export it in fp32 (--keep-fp32)")
        value.setflags(write=False)
    return outputs
