"""Masked text: what PixArt reads, T5's hidden states alone, and which of its tokens are padding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from ..arrays import Array
from ..bundle.layout import SIZE_INPUTS, TEXT_ENCODER, TEXT_MASK
from ..errors import BundleError, ConfigError
from ..runtime.sessions.pool import Sessions
from ..runtime.sessions.tensors import TensorInfo
from .encoder import Conditions
from .prompt import Prompt
from .size_hints import SizeHints
from .t5_text_model import T5TextModel, open_t5_text_model

_TEXT = "encoder_hidden_states"


class MaskedText:
    """Encodes prompts for a transformer that takes ``encoder_attention_mask``.

    With ``sizes`` it also makes the transformer's ``resolution`` and ``aspect_ratio``. As diffusers does where it does
    not clean a prompt, texts are put in lower case.
    """

    def __init__(self, t5: T5TextModel, *, sizes: bool) -> None:
        self._t5, self._sizes = t5, sizes

    @classmethod
    def open(cls, folder: Path, inputs: Mapping[str, TensorInfo], sessions: Sessions) -> Self:
        """Open T5 of a bundle whose transformer has these ``inputs``; BundleError or ProviderError where that fails."""
        t5 = open_t5_text_model(folder, TEXT_ENCODER, sessions, masked=True)
        if not inputs[_TEXT].fits((1, t5.length, t5.width)):
            raise BundleError(
                f"the transformer takes {inputs[_TEXT]}, and the bundle's T5 gives {t5.length} tokens of width "
                f"{t5.width}: one of its components is from another model"
            )
        return cls(t5, sizes=SIZE_INPUTS[0] in inputs)

    def encode(self, prompt: Prompt, hints: SizeHints, *, guided: bool = True) -> Conditions:
        """The text inputs of one image; without ``guided`` only those of the prompt itself.

        A TruncationWarning says what was cut off. ConfigError for what T5 has not, weights and layers to leave out.
        """
        if prompt.weighted or prompt.clip_skip or prompt.long:
            raise ConfigError(
                "prompt_weights, long_prompt and clip_skip are for CLIP, and this model's text is T5's: leave them out"
            )
        unconditional = self._inputs(prompt.negative or "", hints) if guided else None
        return Conditions(self._inputs(prompt.text, hints), unconditional)

    def _inputs(self, text: str, hints: SizeHints) -> dict[str, Array]:
        """``resolution`` is height and width in pixels, float32 (1, 2); ``aspect_ratio`` their quotient, (1, 1)."""
        encoded = self._t5.encode(text.lower().strip())
        found: dict[str, Array] = {_TEXT: encoded.hidden[np.newaxis], TEXT_MASK: encoded.mask[np.newaxis]}
        if not self._sizes:
            return found
        height, width = hints.target
        sizes = (np.array([[height, width]], np.float32), np.array([[height / width]], np.float32))
        return {**found, **dict(zip(SIZE_INPUTS, sizes, strict=True))}
